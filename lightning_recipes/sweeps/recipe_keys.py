"""Keys of a recipe as a search names them: ``trainer.callbacks[Stages].stages[all].lr``."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["path_of", "with_values"]

SEGMENT = re.compile(r"(?P<name>[^.\[\]]+)(?P<selectors>(?:\[[^\[\]]+\])*)")
OF_THE_SWEEP = ("run_dir", "recipe", "config", "ckpt_path", "weights_only", "best_checkpoint")
"""What makes the runs of a sweep comparable, or is the sweep's own to say."""
SPELT_OUT = {"data.extra": "root"}
"""What a text alone stands for, where that is not the name of something."""


def with_values(recipe: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with values put in; the one that is given stays as it is.

    A key names an entry of a list by its class (the last part of its import path), by its ``name`` or by its number,
    and never ``init_args``; null takes the entry out. What stands in a recipe as a name alone becomes a mapping where a
    key below it is given: ``model.optimizer: sgd`` with ``model.optimizer.momentum`` is ``{name: sgd, momentum: 0.9}``.

    Args:
        recipe: A whole recipe, with every key.
        values: By key.

    Raises:
        UserError: A key that leads nowhere, or two that lead to the same place.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(recipe))
    places: dict[tuple[Any, ...], str] = {}
    for key in sorted(values, key=lambda one: len(path_of(one))):  # what a mapping is made of comes before its keys
        place = _put(changed, key, copy.deepcopy(values[key]))
        if place in places:
            raise UserError(f"search.{key}: is the same as {places[place]}; keep one")
        places[place] = key
    return changed


def path_of(key: str) -> list[str]:
    """Return the steps that a key leads by: names, and what stands in brackets as a text with its bracket.

    Example:
        >>> path_of("trainer.callbacks[Stages].stages[0].lr")
        ['trainer', 'callbacks', '[Stages', 'stages', '[0', 'lr']
    """
    steps: list[str] = []
    for number, part in enumerate(re.split(r"\.(?![^\[]*\])", key)):
        found = SEGMENT.fullmatch(part)
        if found is None:
            raise UserError(f"search.{key}: part {number + 1} is no key; write it as in trainer.callbacks[EMA].decay")
        steps += [found["name"], *(f"[{one}" for one in re.findall(r"\[([^\[\]]+)\]", found["selectors"]))]
    if steps[0] in OF_THE_SWEEP:
        raise UserError(f"search.{key}: is the same in all runs of a sweep; give it as --{key}")
    return steps


def _put(recipe: dict[str, Any], key: str, value: Any) -> tuple[Any, ...]:
    """Set a value, and return the place where it went: keys and positions from the top."""
    node: Any = recipe
    parent: Any = recipe
    place: list[Any] = []
    walked = ""
    steps = path_of(key)
    for number, text in enumerate(steps):
        selector = text.startswith("[")
        node = _inside(parent, place, node, walked, key, selector=selector)
        at: Any = _position(node, text[1:], walked, key) if selector else text
        walked = f"{walked}{text}]" if selector else f"{walked}.{text}".lstrip(".")
        if isinstance(node, dict) and "class_path" in node and at not in ("class_path", "init_args"):
            node["init_args"] = node.get("init_args") or {}
            place.append("init_args")
            node = node["init_args"]
        if number == len(steps) - 1:
            if not selector and not place and at not in node:
                raise UserError(f"search.{key}: there is no such key{did_you_mean(str(at), node)}")
            if selector and value is None:
                del node[at]  # an entry that is taken out
            else:
                node[at] = value
            return (*place, at)
        if isinstance(node, dict) and at not in node:
            raise UserError(f"search.{key}: there is no '{walked}' in the recipe{did_you_mean(text, node)}")
        parent, node = node, node[at]
        place.append(at)
    raise AssertionError(key)


def _inside(parent: Any, place: list[Any], node: Any, walked: str, key: str, *, selector: bool) -> Any:
    """Return what a next step goes into: a mapping in the place of a name, which takes arguments then."""
    if selector or isinstance(node, dict):
        return node
    if isinstance(node, str):
        listed = isinstance(parent, list)
        made: dict[str, Any] = (
            {"class_path": node, "init_args": {}} if listed else {SPELT_OUT.get(walked, "name"): node}
        )
    elif node is None and walked.endswith("_kwargs"):
        made = {}
    elif node is None:
        raise UserError(f"search.{key}: the recipe has no {walked} to change; name one first, as in --{walked} NAME")
    elif isinstance(node, list):
        raise UserError(f"search.{key}: '{walked}' is a list; say which of it, as in {walked}[0]")
    else:
        raise UserError(f"search.{key}: '{walked}' is {node!r} and has no keys")
    parent[place[-1]] = made
    return made


def _position(node: Any, selector: str, walked: str, key: str) -> int:
    """Return which entry of a list is meant."""
    if not isinstance(node, list):
        raise UserError(f"search.{key}: '{walked}' is no list, to choose '{selector}' from")
    if selector.isdigit():
        if int(selector) >= len(node):
            raise UserError(f"search.{key}: '{walked}' has no [{selector}]; it has {len(node)} entries, from 0 on")
        return int(selector)
    names = [_names(entry) for entry in node]
    found = [position for position, of in enumerate(names) if selector in of]
    if len(found) > 1:
        raise UserError(f"search.{key}: '{walked}' has {len(found)} of '{selector}'; give a number, as in [{found[0]}]")
    if not found:
        there = [of[0] for of in names if of]
        near = did_you_mean(selector, there)
        said = f"; there are {', '.join(there)}" if there and not near else near
        raise UserError(f"search.{key}: there is no '{selector}' in '{walked}'{said}")
    return found[0]


def _names(entry: Any) -> list[str]:
    """What an entry of a list is called by: its name, its class."""
    if isinstance(entry, str):
        return [entry.rpartition(".")[2]]
    if not isinstance(entry, dict):
        return []
    names = [entry.get("name"), (entry.get("init_args") or {}).get("name"), entry.get("class_path")]
    return [str(name).rpartition(".")[2] if i == 2 else str(name) for i, name in enumerate(names) if name is not None]
