"""The one error for what a user can mend: a bad recipe, bad data or a bad file."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["UserError", "did_you_mean"]


class UserError(ValueError):
    """A mistake in a recipe, in data or in a file; the command line prints it as one line and exits with 2.

    The text opens with the key or the file and ends with what to do: ``data.root: 'imgs' does not exist; give ...``.
    """


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
