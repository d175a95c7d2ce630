"""What a page of a run is made of, before it is HTML."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = [
    "Section", "Tile", "figure", "finding", "folded", "heading", "number", "pair", "share", "table", "text",
]  # fmt: skip

Part = dict[str, Any]


@dataclass
class Section:
    """A part of the page under a heading of its own.

    Attributes:
        id: Of its anchor.
        name: Of the heading.
        parts: In their order; without any the section is left out.
    """

    id: str
    name: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Tile:
    """A number in large type.

    Attributes:
        name: What it is.
        value: As it is shown.
        note: Below it.
        low: Where its interval begins, in percent of the whole range; None draws none.
        width: Of the interval, likewise.
    """

    name: str
    value: str
    note: str = ""
    low: float | None = None
    width: float = 0.0

    @classmethod
    def of_share(cls, name: str, value: float, interval: Sequence[float] | None) -> "Tile":
        """Return the tile of a share in [0, 1], with its 95 % interval drawn and named; without one it says so."""
        if interval is None:
            return cls(name, percent(value), "too few images for an interval")
        low, high = interval
        note = f"95 %: {percent_range(low, high)}"
        return cls(name, percent(value), note, round(100 * low, 2), round(100 * (high - low), 2))


def number(value: float | None, form: str) -> str:
    """Return a number in a format, and a dash for none.

    Example:
        >>> number(0.00123, ".2g"), number(None, ".2g"), number(float("nan"), ".2g")
        ('0.0012', '-', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:{form}}"


def share(found: dict[str, float | None] | None) -> str:
    """Return a share with its interval, if it has one.

    Example:
        >>> share({"value": 0.5, "low": 0.25, "high": 0.75})
        '50.0 % (25.0 to 75.0)'
    """
    if found is None or found.get("value") is None:
        return "-"
    low, high = found.get("low"), found.get("high")
    between = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{percent(found['value'])}{between}"


def text(words: str) -> Part:
    """A paragraph."""
    return {"kind": "text", "text": words}


def heading(words: str) -> Part:
    """A heading within a section."""
    return {"kind": "heading", "text": words}


def finding(what: str, number: str, advice: str) -> Part:
    """Something that the numbers say."""
    return {"kind": "finding", "what": what, "number": number, "advice": advice[:1].upper() + advice[1:]}


def figure(name: str, caption: str) -> Part:
    """A picture of the run's folder."""
    return {"kind": "figure", "name": name, "caption": caption}


def pair(*figures: Part) -> Part:
    """Pictures beside one another, where there is room."""
    return {"kind": "pair", "figures": figures}


def folded(title: str, words: str) -> Part:
    """Long text that is opened by a click."""
    return {"kind": "folded", "title": title, "text": words}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Part:
    """A table; a column whose name ends in ``#`` holds numbers, in ``~`` long text."""
    heads = [{"name": c.rstrip("#~"), "number": c.endswith("#"), "wide": c.endswith("~")} for c in columns]
    return {"kind": "table", "columns": heads, "rows": [["-" if cell is None else cell for cell in r] for r in rows]}
