"""Learning curves: loss and accuracy over the epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lightning_recipes.figures.stages import mark_stages

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
        mark_stages(axes, {name: epoch - 0.5 for name, epoch in (boundaries or {}).items()})
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(frameon=False, loc="center right")
    return figure
