"""Small pictures side by side with their names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.class_labels import plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Cell", "class_sheet", "contact_sheet", "pair_sheet"]

SIDE = 1.55  # inches of a picture
TEXT = 0.34  # inches of two lines below it
NAME = 26  # columns of a name that a cell has room for
HEAD = 0.5


@dataclass(frozen=True)
class Cell:
    """A picture of a sheet.

    Attributes:
        image: (H, W, 3), uint8.
        name: Such as its path; the end is kept.
        note: A line below it.
    """

    image: NDArray[np.uint8]
    name: str
    note: str = ""


def contact_sheet(cells: Sequence[Cell], *, title: str, columns: int = 6) -> "Figure":
    """Draw pictures in rows.

    Args:
        cells: At least one.
        title: Of the sheet.
        columns: Pictures in a row.
    """
    columns = min(columns, len(cells))
    figure, grid = _grid(math.ceil(len(cells) / columns), columns, title, least=3)
    for axes, cell in zip(grid.flat, cells, strict=False):
        _draw(axes, cell)
    return figure


def pair_sheet(pairs: Sequence[tuple[Cell, Cell]], *, title: str, pairs_in_a_row: int = 3) -> "Figure":
    """Draw pairs of pictures side by side; arguments as of :func:`contact_sheet`."""
    across = min(pairs_in_a_row, len(pairs))
    rows = math.ceil(len(pairs) / across)
    figure, grid = _grid(rows, 3 * across - 1, title, widths=([1, 1, 0.22] * across)[:-1], least=3)
    for number, pair in enumerate(pairs):
        row, place = divmod(number, across)
        for side, cell in enumerate(pair):
            _draw(grid[row, 3 * place + side], cell)
    return figure


def class_sheet(rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]], *, title: str) -> "Figure":
    """Draw a row of pictures for each class.

    Args:
        rows: Name and pictures (H, W, 3) of each, at least one.
        title: Of the sheet.
    """
    columns = max(len(pictures) for _, pictures in rows)
    figure, grid = _grid(len(rows), columns + 1, title, text=0.06, side=0.95)
    for line, (name, pictures) in zip(grid, rows, strict=True):
        line[0].text(1.0, 0.5, short(name, 14), ha="right", va="center", fontsize=9, transform=line[0].transAxes)
        for axes, picture in zip(line[1:], pictures, strict=False):
            axes.imshow(picture, interpolation="nearest")
    return figure


def _grid(
    rows: int,
    columns: int,
    title: str,
    *,
    widths: Sequence[float] | None = None,
    text: float = TEXT,
    side: float = SIDE,
    least: int = 1,
) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    widths = widths or [1.0] * columns
    width, height = max(side * sum(widths), side * least) * 1.04, rows * (side + text) + HEAD
    figure = Figure(figsize=(width, height))
    figure.text(0.012, 1 - 0.14 / height, plain(title), fontsize=11, va="top")
    # By hand: the layout engine takes seconds for so many panels.
    right = 0.012 + 0.98 * side * sum(widths) * 1.04 / width
    edges = {"left": 0.012, "right": min(0.988, right), "bottom": text / height, "top": 1 - (HEAD - 0.05) / height}
    space = {"wspace": 0.05, "hspace": 1.06 * text / side, "width_ratios": widths}
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw={**edges, **space})
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid


def _draw(axes: "Axes", cell: Cell) -> None:
    axes.imshow(cell.image, interpolation="nearest")
    axes.set_anchor("S")
    text = short(cell.name, NAME) + (f"\n{short(cell.note, NAME)}" if cell.note else "")
    axes.text(0.5, -0.04, text, ha="center", va="top", fontsize=6.5, color="0.25", transform=axes.transAxes)
