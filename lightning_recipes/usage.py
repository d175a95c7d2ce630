"""Errors of the command line in one line that names the key and what to do."""

import inspect
import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, get_args

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.specs import import_object

__all__ = ["one_line", "refuse_null"]

KEY = re.compile(r"""Parser key ["'](?P<key>[^"']+)["']:?\s*""")
CLASS = re.compile(r"""Problem with given class_path ["'](?P<path>[^"']+)["']:?\s*""")
UNKNOWN = re.compile(r"""(?:Option|Key) ["'](?P<name>[^"']+)["'] is not (?:accepted|expected)""")
MISSING = re.compile(r"the following arguments are required: (?P<keys>.*)")
EXPECTED = re.compile(r"Expected an? (?P<type><class .*?>|typing\.Literal\[.*?\])(?:\. Got value: (?P<value>.*))?$")
NO_CLASS = re.compile(r"Expected a dot import path string: (?P<value>.*)$")
NOISE = re.compile(
    r"^(Does not validate against any of the Union subtypes|Subtypes: |Errors:|Given value|Expected a path but)"
)


def one_line(error: BaseException, known: Sequence[str] = ()) -> str:
    """Return an error as one line: the key, what is wrong with it, and what is near to it.

    jsonargparse reports every member of a union that a value failed to be, over a dozen lines, and so for every key
    above it; the innermost key is the one that was meant.

    Args:
        error: What was raised.
        known: Keys of the top level of a recipe, to suggest one of.
    """
    if isinstance(error, UserError) or str(error).startswith("Problems parsing"):
        return " ".join(str(error).split())
    if found := MISSING.match(str(error)):
        parts = [key.rpartition(".")[2] for key in found["keys"].split(", ")]
        return f"{' and '.join(parts)}: not given; name a recipe, as in `lightning-recipes fit --config quickstart`"
    keys: list[str] = []
    path = ""
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    for number, line in enumerate(lines):
        for pattern in (KEY, CLASS):
            if found := pattern.match(line):
                if pattern is KEY:
                    keys.append(found["key"])
                else:
                    path = found["path"]
                line = line[found.end() :]
        if EXPECTED.match(line):
            return _join(keys, _none_of(lines[number:]))
        if found := NO_CLASS.match(line):
            hint = f" (to choose a backbone: --model.backbone {found['value']})" if keys == ["model"] else ""
            return _join(keys, f"'{found['value']}' is no class by its import path{hint}")
        if line and not NOISE.match(line):
            return _join(keys, _plain(line, path, known))
    return " ".join(str(error).split())


def _join(keys: Sequence[str], text: str) -> str:
    joined = ""
    for key in keys:  # an inner key may be given whole or from where it stands
        joined = key if key.startswith(joined + ".") or not joined else f"{joined}.{key}"
    found = UNKNOWN.match(text)
    if found:
        joined, text = f"{joined}.{found['name']}".lstrip("."), "there is no such key" + text[found.end() :]
    return f"{joined}: {text}" if joined else text


def _none_of(lines: Sequence[str]) -> str:
    """What a value was expected to be, from the lines that say so one by one."""
    names: list[str] = []
    value = ""
    for line in lines:
        if found := EXPECTED.match(line):
            names += _names_of(found["type"])
            value = found["value"] or value
        elif line.startswith("Given value: "):
            value = value or line.removeprefix("Given value: ")
            break
        elif not (NOISE.match(line) or NO_CLASS.match(line)):
            break
    names = list(dict.fromkeys(names))
    types = {"int", "float", "str", "list", "dict", "null"}
    if types.issuperset(names):
        return f"'{value}' is not of type {' or '.join(names)}"
    return f"'{value}' is not one of {', '.join(names)}{did_you_mean(value, names)}"


def _names_of(kind: str) -> list[str]:
    """Values of a literal as a recipe writes them, or the name of a type."""
    if kind.startswith("typing.Literal"):
        return [name.strip("'\" ") for name in kind.removeprefix("typing.Literal[").removesuffix("]").split(",")]
    name = kind.removeprefix("<class '").removesuffix("'>").rpartition(".")[2]
    return {"bool": ["true", "false"], "NoneType": ["null"]}.get(name, [name])


def _plain(line: str, path: str, known: Sequence[str]) -> str:
    found = UNKNOWN.match(line)
    if found:
        if path:
            known = list(inspect.signature(import_object("class_path", path)).parameters)
        line += did_you_mean(found["name"], known)
    return line


def refuse_null(key: str, kind: type, arguments: Mapping[str, Any]) -> None:
    """Refuse a null where a class takes none; jsonargparse lets it through, and the class fails on it.

    Args:
        key: Of the class in the recipe.
        kind: The class; its bases are asked for what it hands on to them.
        arguments: Of the class.

    Raises:
        UserError: Names ``key.argument`` and its default.
    """
    takes = [inspect.signature(owner).parameters for owner in kind.__mro__]
    for name in (name for name, value in arguments.items() if value is None):
        parameter = next((parameters[name] for parameters in takes if name in parameters), None)
        if parameter is None or parameter.default in (None, parameter.empty):
            continue
        known = not isinstance(parameter.annotation, str) and parameter.annotation not in (Any, object, parameter.empty)
        if known and NoneType not in get_args(parameter.annotation):
            raise UserError(f"{key}.{name}: null is no value of it; leave it out for its default, {parameter.default}")
