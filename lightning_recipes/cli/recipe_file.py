"""A recipe's file before it is parsed: what is wrong with it as YAML, by file, line and column."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lightning_recipes.errors import UserError

__all__ = ["check_recipe_file"]

EXAMPLE = "a recipe is a mapping with the keys data, model and trainer"


def check_recipe_file(path: Path, example: str = EXAMPLE) -> None:
    """Refuse a file that is no recipe, by what the parser of keys would lose: the file's name, lines, and doubled keys.

    Args:
        path: An existing file.
        example: What such a file is, for the error.

    Raises:
        UserError: It is not text, not YAML, no mapping, or has a key twice in one mapping.
    """
    text = _read(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{path}: {_syntax(error, text)}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise UserError(f"{path}: line {line}: a control character; give a recipe as plain text, in YAML") from None
    if root is None or root.tag.endswith(":null"):
        raise UserError(f"{path}: the file is empty; {example}")
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else f"the text '{root.value[:40]}'"
        raise UserError(f"{path}: the file holds {kind}; {example}")
    for problem in _problems(root, "", set(), example):
        raise UserError(f"{path}: {problem}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise UserError(f"{path}: not text in UTF-8 ({where}); give a recipe in YAML, saved as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a recipe that can") from None


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say where YAML gave up, and where what it was reading began: an open quote is found lines after it."""
    place, began = error.problem_mark or error.context_mark, error.context_mark
    assert place is not None
    if "\t" in [*text.splitlines(), ""][place.line][: place.column + 1]:
        return f"{_at(place)}: a tab; YAML is indented with spaces"
    if began is not None and "quoted scalar" in (error.context or ""):
        return f"{_at(began)}: a quote opens here and does not close; close it"
    if "another document" in (error.problem or ""):
        return f"{_at(place)}: a second document begins; a recipe is one, so give one file each"
    what = (error.problem or "no YAML").removeprefix("found ").replace("<scalar>", "a value")
    what = what.replace("that cannot start any token", "cannot begin a value; put the value in quotes")
    if began is not None and (began.line, began.column) != (place.line, place.column):
        what += f" ({error.context} that begins at {_at(began)}); look there for what is not closed or indented"
    return f"{_at(place)}: {what}"


def _at(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _problems(node: Node, key: str, seen: set[int], example: str) -> Iterator[str]:
    """Go through all nodes, each once, as an alias may name one again; yield what is wrong in the order of the file."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.tag not in SafeConstructor.yaml_constructors:
        yield f"{_at(node.start_mark)}: there is no tag '{node.tag}'; write the value without it"
    if isinstance(node, SequenceNode):
        for number, one in enumerate(node.value):
            yield from _problems(one, f"{key}[{number}]", seen, example)
    if isinstance(node, MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, ScalarNode):
                yield f"{_at(name.start_mark)}: a key is a name, no list or mapping; put it in quotes if it is meant so"
                return
            inner = f"{key}.{name.value}".lstrip(".")
            if not key and not name.tag.endswith((":str", ":merge")):
                yield f"{_at(name.start_mark)}: '{name.value}' is no key; {example}"
            if (name.tag, name.value) in lines:
                first = lines[name.tag, name.value]
                places = f"in line {line}" if first == line else f"in lines {first} and {line}"
                yield f"{inner} is given twice, {places}; keep one"
            lines[name.tag, name.value] = line
            yield from _problems(value, inner, seen, example)
