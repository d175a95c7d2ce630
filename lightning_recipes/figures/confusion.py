"""The confusion matrix as a picture that can be read at two classes and at two hundred."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.names import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_figure"]

NUMBERED = 25  # classes up to which each cell has its count
NAMED = 60  # classes up to which each has its name
LONGEST = 18  # characters of a name


def confusion_figure(matrix: NDArray[np.int64], names: Sequence[str]) -> "Figure":
    """Draw shares of each true class, row by row, with counts where there is room.

    The colour is of the mistakes: the diagonal is left grey, or it would outshine them.

    Args:
        matrix: Counts (C, C): row the true class, column the predicted one.
        names: Of the classes.
    """
    from matplotlib.figure import Figure

    classes = len(names)
    side = min(14.0, max(4.2, 0.42 * classes + 1.5)) if classes <= NAMED else 12.0
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    mistakes = shares.copy()
    np.fill_diagonal(mistakes, np.nan)
    top = float(np.nanmax(mistakes)) if classes > 1 else 1.0
    axes.set_facecolor("0.9")
    image = axes.imshow(mistakes, cmap="Reds", vmin=0.0, vmax=max(top, 1e-3), interpolation="nearest", aspect="equal")
    if classes <= NUMBERED:
        for i, j in np.argwhere(matrix > 0):
            dark = i != j and mistakes[i, j] > 0.6 * top
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if classes <= NAMED:
        shown = [short(name, LONGEST) for name in names]
        size = 9 if classes <= NUMBERED else 6
        axes.set_xticks(
            range(classes), shown, rotation=90 if classes > 4 and max(map(len, shown)) > 2 else 0, fontsize=size
        )
        axes.set_yticks(range(classes), shown, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    right = int(np.trace(matrix))
    axes.set_title(f"{int(matrix.sum()) - right} mistakes in {int(matrix.sum())} validation images", fontsize=11)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure
