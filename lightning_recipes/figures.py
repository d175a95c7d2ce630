"""Figures: numbers in, a matplotlib figure out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["learning_curves"]


def learning_curves(rows: Sequence[Mapping[str, str]], boundaries: Mapping[str, int] | None = None) -> "Figure":
    """Draw loss and accuracy of training and validation over the epochs.

    Args:
        rows: Rows of ``metrics.csv``: ``epoch`` and figures by name, empty where a row has none.
        boundaries: First epoch of each stage, by its name; drawn as lines.
    """
    # The object, not pyplot: no window system is touched, and nothing global is left behind.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, colour in (("train", "tab:blue"), ("val", "tab:orange")):
            key = f"{part}_{name}"
            points = [(int(row["epoch"]), float(row[key])) for row in rows if row.get(key)]
            if points:
                marker = "o" if len(points) < 4 else ""
                axes.plot(*zip(*points, strict=True), color=colour, label=key, marker=marker)
        for stage, epoch in (boundaries or {}).items():
            axes.axvline(epoch - 0.5, color="0.7", linewidth=0.8, linestyle="--")
            axes.text(epoch - 0.4, 0.99, stage, transform=axes.get_xaxis_transform(), va="top", color="0.4", fontsize=8)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(frameon=False, loc="center right")
    return figure
