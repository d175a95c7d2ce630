"""Misclassified images with the places that speak for the predicted class and for the true one."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.class_labels import class_labels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Mistake", "gradcam_figure", "mistake_figure"]

WIDTH = 18  # columns of a class name that a cell has room for


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class.

    Attributes:
        image: (H, W, 3), from 0 to 1.
        heat_predicted: (H, W), from 0 to 1: what speaks for the predicted class.
        heat_true: (H, W): for the true one.
        predicted: Name of the class.
        true: Likewise.
        p_predicted: Its probability.
        p_true: Likewise.
        path: Of the image, or its number.
        numbers: Of the predicted class and the true one, shown where no font has the letters of the name.
    """

    image: NDArray[np.float32]
    heat_predicted: NDArray[np.float32]
    heat_true: NDArray[np.float32]
    predicted: str
    true: str
    p_predicted: float
    p_true: float
    path: str
    numbers: tuple[int, int] | None = None


def gradcam_figure(mistakes: Sequence[Mistake], *, title: str) -> "Figure":
    """Draw a grid of mistakes: the image, heat for the predicted class, heat for the true class.

    Args:
        mistakes: At least one.
        title: Of the figure.
    """
    from matplotlib.figure import Figure

    columns = math.ceil(math.sqrt(len(mistakes)))
    rows = math.ceil(len(mistakes) / columns)
    lines = textwrap.wrap(title, width=48 * columns)  # letters of this size that there is room for
    height = 1.9 * rows + 0.5 + 0.19 * (len(lines) - 1)
    figure = Figure(figsize=(4.2 * columns, height))
    figure.suptitle("\n".join(lines), fontsize=11, y=1 - 0.1 / height, va="top")
    # By hand: the layout engine takes seconds for so many panels.
    top = 1 - (0.56 + 0.19 * len(lines)) / height
    edges = {"left": 0.005, "right": 0.995, "bottom": 0.01, "top": top, "wspace": 0.06, "hspace": 0.3}
    grid: Any = figure.subplots(rows, 3 * columns, squeeze=False, gridspec_kw=edges)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, mistake in enumerate(mistakes):
        row, column = divmod(number, columns)
        _draw(grid[row, 3 * column : 3 * column + 3], mistake)
    return figure


def mistake_figure(mistake: Mistake) -> "Figure":
    """Draw a single mistake, larger."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.7))
    edges = {"left": 0.01, "right": 0.99, "bottom": 0.08, "top": 0.86, "wspace": 0.04}
    panels: Any = figure.subplots(1, 3, gridspec_kw=edges)
    for axes in panels:
        axes.set_axis_off()
    _draw(panels, mistake, fontsize=11)
    figure.supxlabel(plain(mistake.path), fontsize=9, color="0.4")
    return figure


def _draw(panels: Sequence["Axes"], mistake: Mistake, fontsize: int = 8) -> None:
    for axes, heat in zip(panels, (None, mistake.heat_predicted, mistake.heat_true), strict=True):
        axes.imshow(mistake.image, interpolation="nearest")
        if heat is not None:
            axes.imshow(heat, cmap="inferno", alpha=0.55, vmin=0.0, vmax=1.0)
    predicted, true = class_labels((mistake.predicted, mistake.true), WIDTH, mistake.numbers or (None, None))
    labels = (
        "image",
        f"predicted ({100 * mistake.p_predicted:.0f} %)\n{predicted}",
        f"true ({100 * mistake.p_true:.0f} %)\n{true}",
    )
    for axes, label, colour in zip(panels, labels, ("0.4", "tab:red", "tab:green"), strict=True):
        axes.set_title(label, fontsize=fontsize, color=colour, pad=3, y=1.0)  # else it is looked for among the ticks
