"""Errors of the command line in one line that names the key and what to do."""

import inspect
import re
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, get_args

from lightning_recipes.cli.key_hints import arguments_of, class_hint, key_hint
from lightning_recipes.cli.model_kind import is_gan
from lightning_recipes.components import import_object
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["RECIPE", "one_line", "refuse_null"]

KEY = re.compile(r"""Parser key ["'](?P<key>[^"']+)["']:?\s*""")
CLASS = re.compile(r"""Problem with given class_path ["'](?P<path>[^"']+)["']:?\s*""")
UNKNOWN = re.compile(
    r"""(?:Subcommand ["']\w+["'] does not accept option ["'](?P<top>[^"']+)["'])|"""
    r"""(?:(?:Option|Key) ["'](?P<name>[^"']+)["'] is not (?:accepted|expected))"""
)
UNRECOGNIZED = re.compile(r"unrecognized arguments: (?P<option>[^\s=]+)")
NO_VALUE = re.compile(r"argument (?:-\w/)?--(?P<key>[\w.]+): expected (?:one|at least one) argument")
AMBIGUOUS = re.compile(r"ambiguous option: --(?P<key>[\w.]+)\S* could match (?P<keys>.*)")
MISSING = re.compile(r"the following arguments are required: (?P<keys>.*)")
EXPECTED = re.compile(r"Expected an? (?P<type><class .*?>|typing\.Literal\[.*?\])(?:\. Got value: (?P<value>.*))?$")
NO_MAPPING = re.compile(r"'\w+' object has no attribute 'keys'")
NO_CLASS = re.compile(r"Expected a dot import path string: (?P<value>.*)$")
NOT_IN_MODULE = re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'")
NOT_IN_PACKAGE = re.compile(r"No (?P<module>[\w.]+) attribute (?P<name>\w+)")  # of a package with lazy names
NO_MODULE = re.compile(r"No module named '(?P<name>[\w.]+)'")
NOT_OF_KIND = re.compile(r"Import path (?:(?P<path>\S+) )?does not correspond to a subclass of (?P<kind>\w+)")
NO_MEMBER = re.compile(r"Not a valid subclass of (?P<kind>\w+)(?:\. Got value: (?P<value>.*))?$")
NOISE = re.compile(
    r"^(Does not validate against any of the Union subtypes|Subtypes: |Errors:|Given value|Expected a path but)"
)
RECIPE = "name a recipe, as in `lightning-recipes fit --config quickstart`"


def one_line(error: BaseException, known: Sequence[str] = ()) -> str:
    """Return an error as one line: the key, what is wrong with it, and what is near to it.

    jsonargparse reports every member of a union that a value failed to be, over a dozen lines, and so for every key
    above it; the innermost key is the one that was meant.

    Args:
        error: What was raised.
        known: Keys of the top level of a recipe, to suggest one of.
    """
    whole = str(error)
    if isinstance(error, UserError) or whole.startswith("Problems parsing"):
        return " ".join(whole.split())
    if found := MISSING.match(whole):
        parts = [key.rpartition(".")[2] for key in found["keys"].split(", ")]
        return f"{' and '.join(parts)}: not given; {RECIPE}"
    if line := _of_the_command_line(whole, known):
        return line
    keys: list[str] = []
    path = ""
    lines = whole.splitlines()
    for number, line in enumerate(line.strip().removeprefix("- ") for line in lines):
        for pattern in (KEY, CLASS):
            if found := pattern.match(line):
                if pattern is KEY:
                    keys.append(found["key"])
                else:
                    path = found["path"]
                line = line[found.end() :]
        if EXPECTED.match(line) or NO_MEMBER.match(line):
            text = _none_of(lines[number:])
        elif line and not NOISE.match(line):
            return _about(_join(keys), line, path, known)
        else:
            continue
        return f"{_join(keys) or path}: {text}"
    return " ".join(whole.split())


def _of_the_command_line(text: str, known: Sequence[str]) -> str:
    """An option that argparse does not know, or that lacks its value; empty for any other error."""
    if found := UNRECOGNIZED.match(text):
        option = found["option"]
        if option.startswith("-") and not option.startswith("--"):
            return f"{option}: an option begins with two dashes; give -{option}"
        if not option.startswith("-"):
            return f"{option}: is neither an option nor an option's value; give keys as in --model.lr 0.01"
        return f"{option}: there is no such option{key_hint(option.lstrip('-'), known)}"
    if found := NO_VALUE.match(text):
        return f"{found['key']}: an option without its value; give it after the option, as in --model.lr 0.01"
    if found := AMBIGUOUS.match(text):
        return f"{found['key']}: is the beginning of several keys, {found['keys'].replace('--', '')}; give one whole"
    return ""


def _join(keys: Sequence[str]) -> str:
    joined = ""
    for key in keys:  # an inner key may be given whole or from where it stands
        joined = key if key.startswith(joined + ".") or not joined else f"{joined}.{key}"
    return joined


def _about(key: str, line: str, path: str, known: Sequence[str]) -> str:
    """What one line of an error says of the key it was found at."""
    if found := UNKNOWN.match(line):
        return _unknown(key, found["top"] or found["name"], path, known)
    if found := MISSING.match(line):
        names = [name.rpartition(".")[2] for name in found["keys"].split(", ")]
        return f"{key}.{' and '.join(names)}: not given; {path or key} needs it"
    if found := NO_CLASS.match(line):
        return f"{key}: '{found['value']}' is no class by its import path{_instead(key, found['value'])}"
    if found := NOT_IN_MODULE.search(line) or NOT_IN_PACKAGE.search(line):
        hint = class_hint(found["name"], key) or "; give the import path of a class"
        return f"{key}: there is no '{found['name']}' in '{found['module']}'{hint}"
    if found := NO_MODULE.match(line):
        hint = class_hint(path, key) or "; give an import path that works from this folder"
        return f"{key}: there is no module '{found['name']}'{hint}"
    if found := NOT_OF_KIND.match(line):
        from_python = "; others are trained from Python, with Lightning's Trainer" if key == "data" else ""
        named = f"'{found['path']}' " if found["path"] else ""
        if key == "model" and is_gan(found["path"] or ""):
            return f"{key}: {named}makes images, and tells none apart; fit trains it, generate takes its checkpoint"
        return f"{key}: {named}is not a subclass of {found['kind']}; name one that is{from_python}"
    place = key or path
    if NO_MAPPING.match(line):
        return f"{place}.init_args: is no mapping; give each argument by its name"
    return f"{place}: {line}" if place and not line.startswith(f"{key.partition('.')[0]}.") else line


def _unknown(key: str, name: str, path: str, known: Sequence[str]) -> str:
    own = arguments_of(import_object("class_path", path)) if path else ()
    whole = f"{key}.{name}".lstrip(".")
    if name == "class_path":
        example = "{class_path: ..., init_args: {...}}"
        return f"{whole}: other keys stand beside it; put them under init_args, as in {example}"
    if key in ("", "model", "data", "trainer"):
        return f"{whole}: there is no such key{key_hint(whole, known, {key: own} if own else None)}"
    return f"{whole}: there is no such key{did_you_mean(name, own) or key_hint(name, ())}"


def _instead(key: str, value: str) -> str:
    """What was meant where a name stands in a class's place."""
    if key == "model":
        return f" (to choose a backbone: --model.backbone {value})"
    if key == "data":
        return f" (to choose images: --data.root {value})"
    if key.endswith(".stages"):
        return f"; a stage is a mapping, as in {{name: {value}, epochs: 1}}"
    return class_hint(value, key)


def _none_of(lines: Sequence[str]) -> str:
    """What a value was expected to be, from the lines that say so one by one."""
    names: list[str] = []
    value = kind = ""
    level = _level(lines[0])
    for whole in lines:
        line = KEY.sub("", whole.strip().removeprefix("- "))
        if line.startswith("Given value: "):
            value = value or line.removeprefix("Given value: ")
            break
        if _level(whole) != level:  # of a member's own reasons, or of a union that this one is in
            continue
        if found := EXPECTED.match(line):
            names += _names_of(found["type"])
            value = found["value"] or value
        elif found := NO_MEMBER.match(line):
            kind = kind or found["kind"]
            value = found["value"] or value
    value = "null" if value == "None" else value
    names = list(dict.fromkeys(names))
    if kind:
        return f"'{value}' is no {kind}{' or list of them' if 'list' in names else ''}; give class_path and init_args"
    types = {"int", "float", "str", "list", "dict", "null"}
    if types.issuperset(names):
        return f"'{value}' is not of type {' or '.join(names)}"
    return f"'{value}' is not one of {', '.join(names)}{did_you_mean(value, names)}"


def _level(line: str) -> int:
    return len(line) - len(line.lstrip())


def _names_of(kind: str) -> list[str]:
    """Values of a literal as a recipe writes them, or the name of a type."""
    if kind.startswith("typing.Literal"):
        return [name.strip("'\" ") for name in kind.removeprefix("typing.Literal[").removesuffix("]").split(",")]
    name = kind.removeprefix("<class '").removesuffix("'>").rpartition(".")[2]
    return {"bool": ["true", "false"], "NoneType": ["null"]}.get(name, [name])


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
