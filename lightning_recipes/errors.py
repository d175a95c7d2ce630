"""The one error for what a user can mend: a bad recipe, bad data or a bad file."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

__all__ = ["UserError", "did_you_mean", "first_few", "nearest", "refuse_bad_values"]

FROM_WORKER = re.compile(r"Caught (?P<name>\w+) in .*\nOriginal Traceback ")


class UserError(ValueError):
    """A mistake in a recipe, in data or in a file; the command line prints it as one line and exits with 2.

    The text opens with the key or the file and ends with what to do: ``data.root: 'imgs' does not exist; give ...``.

    Args:
        text: The line. Where torch makes the error of a loader's worker anew, with the worker's whole traceback as its
            text, the line is taken out of it.
    """

    def __init__(self, text: str = "") -> None:
        found = FROM_WORKER.match(text)
        if found:
            text = re.split(rf"^(?:\w+\.)*{found['name']}: ", text, flags=re.MULTILINE)[-1].strip()
        super().__init__(text)


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Return some names for a line that has no room for all.

    Example:
        >>> first_few(["a", "b", "c"], 2)
        'a, b, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the known names that ``name`` may be a slip of, the nearest first, each once.

    Args:
        name: What was given.
        known: What there is; of names that are as near as another, the first in this order comes first.
        most: Names at most.

    Example:
        >>> nearest("adamm", ["radam", "adam", "adamw", "adam", "sgd"])
        ['adam', 'adamw', 'radam']
    """
    names = list(dict.fromkeys(known))
    near = set(get_close_matches(name, names, n=max(1, len(names)), cutoff=0.6))
    return sorted((one for one in names if one in near), key=lambda one: _edits(name, one))[:most]


def _edits(a: str, b: str) -> int:
    """Letters to put in, leave out or replace to make ``b`` of ``a`` (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        left, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (x != y))
    return row[-1]


def did_you_mean(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return ``"; did you mean a, b?"`` for the known names nearest to ``name``, or an empty string.

    Example:
        >>> did_you_mean("resnet81", ["resnet18", "vgg11"])
        '; did you mean resnet18?'
        >>> did_you_mean("zzz", ["resnet18"])
        ''
    """
    near = nearest(name, known, most=most)
    return f"; did you mean {', '.join(near)}?" if near else ""


def refuse_bad_values(who: str, *checks: tuple[str, object, bool, str]) -> None:
    """Raise at the first value that is not right.

    Args:
        who: Opens the text, such as the name of a callback.
        checks: Key, value, whether it is right (written so that nan is not), and what it has to be.

    Raises:
        UserError: ``who.key: value is not what``.

    Example:
        >>> refuse_bad_values("EMA", ("decay", 0.9, True, "a number in [0, 1)"))
    """
    for key, value, right, what in checks:
        if not right:
            raise UserError(f"{who}.{key}: {value} is not {what}")
