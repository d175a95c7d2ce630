"""Differences with their intervals, one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightning_recipes.figures.class_labels import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Bar", "differences_figure"]

LONGEST = 34  # columns of a name
MOST = 40


@dataclass(frozen=True)
class Bar:
    """A difference, as it is drawn.

    Attributes:
        name: At its left.
        value: The difference.
        low: Where its interval begins.
        high: Where it ends.
        better: 1 where the first is shown to be better, -1 where the second is, 0 where neither.
    """

    name: str
    value: float
    low: float
    high: float
    better: int


def differences_figure(panels: Sequence[tuple[str, Sequence[Bar]]]) -> "Figure":
    """Draw a panel for each metric, a line for each pair; what is shown to differ is coloured.

    Args:
        panels: Label of the axis and what stands over it, the same names in the same order; the first 40.
    """
    from matplotlib.figure import Figure

    rows = min(MOST, len(panels[0][1]))
    figure = Figure(figsize=(3.4 + 3.0 * len(panels), 1.5 + 0.34 * rows), layout="constrained")
    axes: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    colours = {1: "tab:green", -1: "tab:red", 0: "0.45"}
    for panel, (label, bars) in zip(axes, panels, strict=True):
        panel.axvline(0, color="0.3", linewidth=0.8)
        for place, bar in enumerate(bars[:rows]):
            colour = colours[bar.better]
            panel.plot([bar.low, bar.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            panel.plot(bar.value, place, "o", color=colour, markersize=5)
        panel.set_xlabel(label)
        panel.margins(x=0.08)
    axes[0].set_yticks(range(rows), [short(bar.name, LONGEST) for bar in panels[0][1][:rows]], fontsize=9)
    axes[0].set_ylim(rows - 0.5, -0.5)
    return figure
