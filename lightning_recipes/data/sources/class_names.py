"""Names of classes that a person could not tell apart."""

import unicodedata
from collections.abc import Iterable

from lightning_recipes.data.sources.remarks import warn
from lightning_recipes.errors import UserError

__all__ = ["look", "refuse_lookalikes", "warn_of_case"]

UNSEEN = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
"""Characters without a width, which come along when text is copied."""


def look(name: str) -> str:
    r"""Return what a name looks like: letters in one normal form (NFC), one space where there are any, none around.

    Example:
        >>> look("cafe\u0301 ") == look("caf\u00e9")
        True
    """
    return " ".join(unicodedata.normalize("NFC", name.translate(UNSEEN)).split())


def refuse_lookalikes(where: str, classes: Iterable[str]) -> None:
    """Refuse names that look the same: they are one class by two spellings.

    Args:
        where: Opens the text of the error.
        classes: All names.

    Raises:
        UserError: Two differ by spaces, by characters that are not seen, or by the normal form of letters alone.
    """
    seen: dict[str, str] = {}
    for name in sorted(classes):
        first = seen.setdefault(look(name), name)
        if first != name:
            raise UserError(
                f"{where}: classes {first!a} and {name!a} look the same and differ by "
                f"{_difference(first, name)} alone; give them one name"
            )


def _difference(first: str, second: str) -> str:
    if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second):
        return "the Unicode normal form of a letter"
    return "spaces or characters that are not seen"


def warn_of_case(where: str, classes: Iterable[str]) -> None:
    """Warn of names that differ by upper and lower case alone: letters are meant so, ``Cat`` and ``cat`` are not.

    Args:
        where: Opens the text of the warning.
        classes: All names.
    """
    seen: dict[str, str] = {}
    pairs = []
    for name in sorted(classes):
        first = seen.setdefault(look(name).casefold(), name)
        if first != name:
            pairs.append((first, name))
    if pairs:
        first, second = pairs[0]
        more = f" ({len(pairs)} such pairs)" if len(pairs) > 1 else ""
        warn(
            f"{where}: classes '{first}' and '{second}' differ by upper and lower case alone{more}; "
            "give them one name if they are one class"
        )
