"""Where stages begin, drawn into a panel whose x axis counts epochs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lightning_recipes.figures.class_labels import short
from lightning_recipes.figures.fonts import can_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mark_stages"]

COLUMN = 5.0  # points that a letter of this size is wide, about


def mark_stages(axes: "Axes", boundaries: Mapping[str, float], *, named: bool = True) -> None:
    """Draw a line where each stage begins, with its name above the panel; after the data, whose range decides the room.

    Args:
        axes: The panel.
        boundaries: Where each stage begins, by its name, in the unit of the x axis, rising.
        named: Write the names, cut to the room that a stage has; without room for two letters, none. A stage whose
            letters no font has is counted: ``stage 1``.
    """
    begins = list(boundaries.values())
    for begin in begins:
        axes.axvline(begin, color="0.7", linewidth=0.8, linestyle="--")
    if not (named and begins):
        return
    left, right = axes.get_xlim()
    points = 72 * axes.figure.bbox.width / axes.figure.dpi * axes.get_position().width / (right - left)  # of a unit
    names = [stage if can_draw(stage) else f"stage {number}" for number, stage in enumerate(boundaries, start=1)]
    for stage, begin, end in zip(names, begins, [*begins[1:], right], strict=True):
        if (columns := int((end - begin) * points / COLUMN)) > 1:
            axes.annotate(
                short(stage, columns), (begin, 1), xycoords=axes.get_xaxis_transform(), xytext=(1, 2),
                textcoords="offset points", va="bottom", color="0.4", fontsize=8,
            )  # fmt: skip
