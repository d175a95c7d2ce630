"""Where stages begin, drawn into a panel whose x axis counts epochs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mark_stages"]


def mark_stages(axes: "Axes", boundaries: Mapping[str, float], *, named: bool = True) -> None:
    """Draw a line where each stage begins, with its name beside it.

    Args:
        axes: The panel.
        boundaries: Where each stage begins, by its name, in the unit of the x axis.
        named: Write the names.
    """
    for stage, begin in boundaries.items():
        axes.axvline(begin, color="0.7", linewidth=0.8, linestyle="--")
        if named:
            axes.annotate(
                stage, (begin, 1), xycoords=axes.get_xaxis_transform(), xytext=(3, -2), textcoords="offset points",
                va="top", color="0.4", fontsize=8,
            )  # fmt: skip
