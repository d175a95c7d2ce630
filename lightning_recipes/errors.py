"""The one error for what a user can mend: a bad recipe, bad data or a bad file."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["UserError", "did_you_mean", "refuse_bad_values"]

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


def did_you_mean(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return ``"; did you mean a, b?"`` for the known names nearest to ``name``, or an empty string.

    Example:
        >>> did_you_mean("resnet81", ["resnet18", "vgg11"])
        '; did you mean resnet18?'
        >>> did_you_mean("zzz", ["resnet18"])
        ''
    """
    near = get_close_matches(name, list(known), n=most, cutoff=0.6)
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
