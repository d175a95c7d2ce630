"""Fonts of the system for letters that matplotlib's own font lacks, such as Chinese, Japanese, Korean or emoji."""

import logging
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

__all__ = ["can_draw", "families_for", "say_once", "undrawable"]

log = logging.getLogger(__name__)

# Looked at first, because they have most letters; what they lack is looked for in all others.
PREFERRED = (
    "noto sans cjk", "source han sans", "wenquanyi", "droid sans fallback", "microsoft yahei", "simhei", "pingfang",
    "hiragino sans", "yu gothic", "ipa", "malgun gothic", "apple sd gothic", "nanum", "arial unicode", "noto sans",
    "noto emoji", "symbola", "segoe ui",
)  # fmt: skip
# Fonts of placeholders, and those whose pictures are colours that matplotlib cannot draw.
USELESS = ("last resort", "lastresort", "adobe blank", "color emoji", "stixnonunicode", "stixsize")
_said: set[str] = set()
RIGHT_TO_LEFT = ("R", "AL")  # of unicodedata.bidirectional


def can_draw(text: str) -> bool:
    """Whether every letter of a text can be drawn with the fonts of this system."""
    return not undrawable(text)


def undrawable(text: str) -> str:
    """Return the letters of a text that no font of this system has, each once."""
    return "".join(sorted(_searched(text)[1]))


def families_for(text: str) -> list[str]:
    """Return the font families that matplotlib needs for a text beside its own; none for what its own has."""
    return list(_searched(text)[0])


def say_once(text: str) -> None:
    """Say, the first time, that a text has letters that no font of this system has, and what helps."""
    if not _said:
        _said.add(text)
        log.info(
            "figures: no font of this system has the letters of '%s'; classes are called by their numbers. Install a "
            "font that has them, such as Noto Sans CJK; report.html shows all names",
            text,
        )


def _searched(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    if text.isascii():
        return (), frozenset()
    from matplotlib import rcParams
    from matplotlib.font_manager import fontManager

    fonts = _default_fonts(tuple(rcParams["font.family"]))
    letters = frozenset(letter for letter in set(text) if not _ignored(letter) and not _has(fonts, letter))
    return _search(letters, len(fontManager.ttflist)) if letters else ((), letters)


def _has(fonts: tuple["FT2Font", ...], letter: str) -> bool:
    # Before 3.11 matplotlib draws every text from left to right and every letter as if it stood alone.
    if unicodedata.bidirectional(letter) in RIGHT_TO_LEFT and not _reorders():
        return False
    return any(font.get_char_index(ord(letter)) for font in fonts)


def _ignored(letter: str) -> bool:
    """Whether a letter has no picture: joiners, marks of direction, selectors of a variant, line ends."""
    return unicodedata.category(letter) in ("Cf", "Cc") or "\ufe00" <= letter <= "\ufe0f"


@cache
def _reorders() -> bool:
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")


@cache
def _default_fonts(families: tuple[str, ...]) -> tuple["FT2Font", ...]:
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    return tuple(get_font(fontManager.findfont(FontProperties(family=[name]))) for name in families)


@cache
def _search(letters: frozenset[str], known: int) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return families that have the letters, and the letters that none has; anew where more fonts are known."""
    left = {letter for letter in letters if unicodedata.bidirectional(letter) not in RIGHT_TO_LEFT or _reorders()}
    never, families = letters - left, []
    for name, path in _fonts() if left else ():
        found = {letter for letter in left if _file_has(path, letter)}
        if found:
            families.append(name)
            left -= found
        if not left:
            break
    return tuple(families), frozenset(left | never)


def _fonts() -> Iterator[tuple[str, str]]:
    """Family and file of each font that matplotlib knows, then of those installed since it last looked."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    yield from _in_order([(entry.name, str(entry.fname)) for entry in fontManager.ttflist])
    known = {str(entry.fname) for entry in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known:
            before = len(fontManager.ttflist)
            try:
                fontManager.addfont(path)
            except Exception:  # matplotlib passes over files that are no font it can draw, and so do we
                continue
            yield from _in_order([(entry.name, str(entry.fname)) for entry in fontManager.ttflist[before:]])


def _in_order(fonts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each family once, the preferred ones first."""
    first: dict[str, str] = {}
    for name, path in fonts:
        if not name.lower().startswith(USELESS) and not any(part in name.lower() for part in USELESS):
            first.setdefault(name, path)

    def rank(font: tuple[str, str]) -> tuple[int, str]:
        found = (place for place, start in enumerate(PREFERRED) if font[0].lower().startswith(start))
        return next(found, len(PREFERRED)), font[0]

    return sorted(first.items(), key=rank)


@cache
def _opened(path: str) -> "FT2Font | None":
    from matplotlib.ft2font import FT2Font

    return FT2Font(path) if Path(path).exists() else None


def _file_has(path: str, letter: str) -> bool:
    font = _opened(path)
    return font is not None and font.get_char_index(ord(letter)) > 0
