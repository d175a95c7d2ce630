"""What is right among the images that a model is surest of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["coverage_figure"]


def coverage_figure(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw accuracy over the share of images that is not rejected, with 95 % intervals and the thresholds.

    Args:
        rows: Of :func:`~lightning_recipes.evaluation.thresholds.coverage_curve`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes: Any = figure.subplots()
    known = [row for row in rows if row["accuracy"] is not None]
    x = [100 * row["coverage"] for row in known]
    low, middle, high = ([100 * row[key] for row in known] for key in ("low", "accuracy", "high"))
    axes.fill_between(x, low, high, color="tab:blue", alpha=0.18, linewidth=0)
    axes.plot(x, middle, color="tab:blue", marker="o", markersize=4, linewidth=1.4)
    for row, across, up in list(zip(known, x, middle, strict=True))[1::2]:
        note = {"xytext": (0, -13), "textcoords": "offset points", "ha": "center", "fontsize": 8, "color": "0.35"}
        axes.annotate(f"{row['threshold']:.2f}", (across, up), **note)
    axes.invert_xaxis()
    axes.set_xlabel("images that are not rejected, %  (number: their least probability)")
    axes.set_ylabel("accuracy among them, %")
    axes.margins(y=0.12)
    return figure
