"""The confusion matrix as a picture that can be read at two classes and at two hundred."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.class_labels import class_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_figure"]

NUMBERED = 25  # classes up to which each cell has its count
NAMED = 60  # classes up to which each has its name
LONGEST = 18  # columns of a name
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # shares that the scale names


def confusion_figure(matrix: NDArray[np.int64], names: Sequence[str]) -> "Figure":
    """Draw shares of each true class, row by row, with counts where there is room.

    The colour is of the mistakes: the diagonal is left grey, or it would outshine them. The scale is the same in every
    run, from 0 to 100 % of the true class: a few percent are pale, also where nothing is worse. Equal steps of colour
    are equal steps of the share's square root, so that one percent can still be told from none.

    Args:
        matrix: Counts (C, C): row the true class, column the predicted one.
        names: Of the classes.
    """
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    classes = len(names)
    side = min(14.0, max(4.2, 0.42 * classes + 1.5)) if classes <= NAMED else 12.0
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    mistakes = shares.copy()
    np.fill_diagonal(mistakes, np.nan)
    axes.set_facecolor("0.9")
    scale = PowerNorm(0.5, vmin=1e-9, vmax=1.0)  # none is below the scale, and white
    colours = colormaps["Reds"].with_extremes(under="white")
    image = axes.imshow(mistakes, cmap=colours, norm=scale, interpolation="nearest", aspect="equal")
    if classes <= NUMBERED:
        for i, j in np.argwhere(matrix > 0):
            dark = i != j and scale(mistakes[i, j]) > 0.6
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if classes <= NAMED:
        shown = class_labels(names, LONGEST)
        size = 9 if classes <= NUMBERED else 6
        axes.set_xticks(
            range(classes), shown, rotation=90 if classes > 4 and max(map(len, shown)) > 2 else 0, fontsize=size
        )
        axes.set_yticks(range(classes), shown, fontsize=size)
    numbers = "" if classes <= NAMED else " (number of the class, from 0)"
    axes.set_xlabel(f"predicted{numbers}")
    axes.set_ylabel(f"true{numbers}")
    right = int(np.trace(matrix))
    axes.set_title(f"{int(matrix.sum()) - right} mistakes in {int(matrix.sum())} validation images", fontsize=11)
    bar = figure.colorbar(image, ax=axes, label="share of the images of the true class", shrink=0.8)
    bar.set_ticks(TICKS, labels=[f"{100 * share:.0f} %" for share in TICKS])
    return figure
