"""The space that a sweep searches: which keys of a recipe, which values, and under what condition."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.sweeps.kinds import Choice, IntRange, Kind, Range

__all__ = ["Searched", "Space", "parse_space", "same"]

KINDS = ("log", "uniform", "int", "log_int", "choice")
EXAMPLE = "as in {log: [0.0001, 0.01]}"
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
"""What YAML 1.1 takes for a text and everybody else for a number: 1e-4."""


@dataclass(frozen=True)
class Searched:
    """A key that is searched.

    Attributes:
        key: As the file has it, such as ``model.lr``.
        kind: Its values.
        when: Other searched keys, and the values of each that this key exists with.
    """

    key: str
    kind: Kind
    when: Mapping[str, tuple[Any, ...]]

    def exists(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the key has a value beside these of the keys before it."""
        return all(key in values and any(same(values[key], one) for one in of) for key, of in self.when.items())


@dataclass(frozen=True)
class Space:
    """All keys that are searched.

    Attributes:
        keys: In the order of the file.
    """

    keys: tuple[Searched, ...]

    @property
    def ordered(self) -> list[Searched]:
        """The keys in an order in which each stands behind those that its condition asks for."""
        done: list[Searched] = []
        left = list(self.keys)
        while left:
            names = {one.key for one in done}
            ready = next((one for one in left if names.issuperset(one.when)), None)
            if ready is None:
                circle = ", ".join(one.key for one in left)
                raise UserError(f"search.{left[0].key}: the conditions of {circle} go round in a circle; leave out one")
            left.remove(ready)
            done.append(ready)
        return done


def parse_space(search: Mapping[str, Any]) -> Space:
    """Return the space that a file describes.

    Args:
        search: The file: a recipe's key to one of ``{log: [low, high]}``, ``{uniform: [low, high]}``, ``{int: [low,
            high]}``, ``{log_int: [low, high]}`` and ``{choice: [...]}``, with ``when`` where the key exists only
            with some value of another, and with ``steps`` for a grid.

    Raises:
        UserError: Names the key and what is wrong with it.

    Example:
        >>> [one.key for one in parse_space({"model.lr": {"log": [1e-4, 1e-2]}}).keys]
        ['model.lr']
    """
    if not search:
        raise UserError(f"search: no key is searched; give one, {EXAMPLE.replace('as in ', 'as in model.lr: ')}")
    space = Space(tuple(_searched(str(key), _numbers(entry)) for key, entry in search.items()))
    known = {one.key: one for one in space.keys}
    for one in space.keys:
        for other, values in one.when.items():
            _check_condition(one.key, other, values, known)
    assert len(space.ordered) == len(space.keys)
    return space


def same(a: Any, b: Any) -> bool:
    """Tell whether two values of a recipe are one: 1 is 1.0, but true is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _searched(key: str, entry: Any) -> Searched:
    if "init_args" in re.split(r"[.\[\]]", key):
        raise UserError(f"search.{key}: leave out init_args; the key is '{key.replace('.init_args', '')}'")
    if not isinstance(entry, Mapping):
        raise UserError(f"search.{key}: {entry!r} is not a mapping; say what it is drawn from, {EXAMPLE}")
    names = [name for name in entry if name not in ("when", "steps")]
    if len(names) != 1 or names[0] not in KINDS:
        wrong = next((str(name) for name in names if name not in KINDS), None)
        if wrong is not None:
            near = did_you_mean(wrong, KINDS) or f"; there are {', '.join(KINDS)}"
            raise UserError(f"search.{key}.{wrong}: there is no such kind of values{near}")
        raise UserError(f"search.{key}: give one of {', '.join(KINDS)}, {EXAMPLE}")
    return Searched(key, _kind(key, names[0], entry), _conditions(key, entry.get("when")))


def _kind(key: str, name: str, entry: Mapping[str, Any]) -> Kind:
    given, place = entry[name], f"search.{key}.{name}"
    steps = entry.get("steps")
    if steps is not None and (name not in ("log", "uniform") or isinstance(steps, bool) or not isinstance(steps, int)):
        raise UserError(f"search.{key}.steps: {steps!r} is for log and uniform, a whole number >= 2; leave it out")
    if steps is not None and steps < 2:
        raise UserError(f"search.{key}.steps: {steps} is not a number >= 2")
    if name == "choice":
        return _choice(place, given)
    if not isinstance(given, list) or len(given) != 2 or not all(_is_number(one) for one in given):
        raise UserError(f"{place}: {given!r} is not [low, high], two numbers")
    low, high = given
    if not low < high:
        raise UserError(f"{place}: {low} is not below {high}; give [low, high]")
    log = name.startswith("log")
    if log and not low > 0:
        raise UserError(f"{place}: {low} has no logarithm; give a low > 0, or take {name.replace('log_int', 'int')}")
    if name in ("log", "uniform"):
        return Range(float(low), float(high), log, steps)
    if low != int(low) or high != int(high):
        raise UserError(f"{place}: {given} are not whole numbers")
    return IntRange(int(low), int(high), log)


def _choice(place: str, given: Any) -> Choice:
    if not isinstance(given, list) or not given:
        raise UserError(f"{place}: {given!r} is not a list of values; give some, as in [sgd, adamw]")
    try:
        choice = Choice(tuple(given))
        twice = next((label for i, label in enumerate(choice.labels) if label in choice.labels[:i]), None)
    except TypeError:  # a date, which JSON does not have
        raise UserError(f"{place}: a value is neither text nor number; put it in quotes") from None
    if twice is not None:
        raise UserError(f"{place}: {twice} is there twice; keep one")
    return choice


def _conditions(key: str, given: Any) -> dict[str, tuple[Any, ...]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"search.{key}.when: {given!r} is not a mapping of another key to its value or values")
    return {str(other): tuple(of) if isinstance(of, list) else (of,) for other, of in given.items()}


def _check_condition(key: str, other: str, values: tuple[Any, ...], known: Mapping[str, Searched]) -> None:
    place = f"search.{key}.when.{other}"
    if other not in known:
        others = [one for one in known if one != key]
        near = did_you_mean(other, others) or (f"; there are {', '.join(others)}" if others else "")
        raise UserError(f"{place}: is no key that is searched{near}")
    if not values:
        raise UserError(f"{place}: no value is given; give one or a list")
    kind = known[other].kind
    for value in values:
        if isinstance(kind, Choice) and not any(same(value, one) for one in kind.values):
            there = ", ".join(kind.labels)
            raise UserError(f"{place}: {json.dumps(value)} is not among its values, {there}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any) -> Any:
    """Read texts like 1e-4, here and in what is inside, as the numbers that they are in a recipe."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, Mapping):
        return {key: _numbers(of) for key, of in value.items()}
    return [_numbers(one) for one in value] if isinstance(value, list) else value
