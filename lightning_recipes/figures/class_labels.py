"""Names as pictures can show them."""

import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len

from lightning_recipes.figures.fonts import can_draw, say_once

__all__ = ["class_labels", "plain", "short"]

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def plain(text: str) -> str:
    r"""Return text on one line in which nothing is markup or invisible.

    A dollar sign begins no formula; letters that were written as several (as macOS writes file names) are one; line
    ends and tabs are a space; marks of direction are left out; what is no letter at all is escaped.

    Example:
        >>> plain("5$ a\nday")
        '5\\$ a day'
    """
    return _clean(text).replace("$", r"\$")


def short(name: str, most: int) -> str:
    """Return a name in no more than so many columns, as :func:`plain` text; start and end are kept.

    Example:
        >>> short("a_name_that_is_long_1", 12)
        'a_name…ong_1'
    """
    return _cut(_clean(name), most).replace("$", r"\$")


def class_labels(names: Sequence[str], most: int, numbers: Sequence[int | None] | None = None) -> list[str]:
    """Return what a picture calls classes: their short names, or their numbers where those cannot be read.

    A class is called ``#3`` where no font of this system has its letters, and ``#3 name`` where the short names of two
    classes are the same.

    Args:
        names: Of the classes.
        most: Columns that a name has room for.
        numbers: Of the classes (default: their places in ``names``); a class without one keeps its name.
    """
    shown = [short(name, most) for name in names]
    labels = []
    for place, (name, text) in enumerate(zip(names, shown, strict=True)):
        number = place if numbers is None else numbers[place]
        if number is not None and not can_draw(_clean(name)):
            say_once(name)
            text = f"#{number}"
        elif number is not None and any(text == other for at, other in enumerate(shown) if names[at] != name):
            text = f"#{number} {short(name, max(1, most - len(str(number)) - 2))}"
        labels.append(text)
    return labels


def _clean(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    if letter in JOINERS:
        return letter
    kind = unicodedata.category(letter)
    if kind == "Cf" or "\ufe00" <= letter <= "\ufe0f":
        return ""
    return letter.encode("unicode_escape").decode("ascii") if kind in ("Cc", "Cs", "Cn", "Co") else letter


def _cut(text: str, most: int) -> str:
    """Leave out the middle of a text that is wider than so many columns; letters of East Asia take two."""
    if cell_len(text) <= most:
        return text
    start, end = "", ""
    for letter in text:
        if cell_len(start + letter) > most // 2:
            break
        start += letter
    for letter in reversed(text):
        if cell_len(letter + end) > most - 1 - cell_len(start):
            break
        end = letter + end
    return f"{start}{ELLIPSIS}{end}"
