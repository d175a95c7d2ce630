"""Training images as the network sees them, with their labels."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.class_labels import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["batch_figure"]

COLUMNS = 8
WIDTH = 16  # columns of a label that a cell has room for


def batch_figure(images: NDArray[np.float32], labels: Sequence[str], *, title: str) -> "Figure":
    """Draw images in rows of eight, each under its label.

    Args:
        images: (N, H, W, 3), from 0 to 1 where they are normalised as they should be; what lies beyond is cut off.
        labels: In words, one an image.
        title: Of the figure.
    """
    from matplotlib.figure import Figure

    rows = math.ceil(len(images) / COLUMNS)
    height = 1.45 * rows + 0.5
    figure = Figure(figsize=(1.3 * COLUMNS, height))
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    edges = {"left": 0.005, "right": 0.995, "bottom": 0.02, "top": 1 - 0.6 / height, "wspace": 0.06, "hspace": 0.22}
    grid: Any = figure.subplots(rows, COLUMNS, squeeze=False, gridspec_kw=edges)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, label in zip(grid.flat, images, labels, strict=False):
        axes.imshow(np.clip(image, 0, 1), interpolation="nearest")
        axes.set_title(short(label, WIDTH), fontsize=8, pad=2)
    return figure
