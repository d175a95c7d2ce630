"""Errors of the command line in one line that names the key and what to do."""

import inspect
import re
from collections.abc import Sequence

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.specs import import_object

__all__ = ["one_line"]

KEY = re.compile(r"""Parser key ["'](?P<key>[^"']+)["']:?\s*""")
CLASS = re.compile(r"""Problem with given class_path ["'](?P<path>[^"']+)["']:?\s*""")
UNKNOWN = re.compile(r"""(?:Option|Key) ["'](?P<name>[^"']+)["'] is not (?:accepted|expected)""")
NOISE = re.compile(
    r"^(Does not validate against any of the Union subtypes|Subtypes: |Errors:|Given value|Expected a path but)"
)


def one_line(error: BaseException, known: Sequence[str] = ()) -> str:
    """Return an error as one line: the key, what is wrong with it, and what is near to it.

    jsonargparse reports every member of a union that a value failed to be, over a dozen lines; the first of them is the
    one that was meant.

    Args:
        error: What was raised.
        known: Keys of the top level of a recipe, to suggest one of.
    """
    if isinstance(error, UserError) or str(error).startswith("Problems parsing"):
        return " ".join(str(error).split())
    keys: list[str] = []
    path = ""
    for line in (line.strip().removeprefix("- ") for line in str(error).splitlines()):
        for pattern in (KEY, CLASS):
            if found := pattern.match(line):
                if pattern is KEY:
                    keys.append(found["key"])
                else:
                    path = found["path"]
                line = line[found.end() :]
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


def _plain(line: str, path: str, known: Sequence[str]) -> str:
    line = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", line)
    line = re.sub(r"^Expected an? (.+?)\. Got value: (.*)$", r"'\2' is not of type \1", line)
    found = UNKNOWN.match(line)
    if found:
        if path:
            known = list(inspect.signature(import_object("class_path", path)).parameters)
        line += did_you_mean(found["name"], known)
    return line
