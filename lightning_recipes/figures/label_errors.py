"""Which labels are missed and which are seen where they are not, class by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightning_recipes.figures.class_labels import class_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["label_errors_figure"]

MOST = 40  # classes that there is room for
LONGEST = 18  # columns of a name


def label_errors_figure(classes: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw the average precision of each class with its 95 % interval, and how many of its labels are missed or false.

    Args:
        classes: With ``name``, ``images``, ``average_precision``, ``missed`` and ``false``; those of the lowest
            average precision are drawn, the lowest first.
    """
    from matplotlib.figure import Figure

    ranked = sorted(classes, key=lambda c: (c["average_precision"]["value"] is None, c["average_precision"]["value"]))
    shown = ranked[:MOST]
    places = range(len(shown))
    figure = Figure(figsize=(8.0, 1.6 + 0.32 * len(shown)), layout="constrained")
    precision, counts = figure.subplots(1, 2, sharey=True)
    for place, found in zip(places, shown, strict=True):
        ap = found["average_precision"]
        if ap["low"] is not None:
            precision.plot([ap["low"], ap["high"]], [place, place], color="0.6", linewidth=2, solid_capstyle="butt")
        if ap["value"] is not None:
            precision.plot(ap["value"], place, "o", color="tab:blue", markersize=5)
    counts.barh(places, [-found["missed"] for found in shown], color="tab:red", label="there, not seen")
    counts.barh(places, [found["false"] for found in shown], color="tab:orange", label="seen, not there")
    counts.axvline(0, color="0.3", linewidth=0.8)
    counts.xaxis.get_major_locator().set_params(integer=True)
    counts.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    order = {id(found): place for place, found in enumerate(classes)}
    names = class_labels([str(found["name"]) for found in shown], LONGEST, [order[id(found)] for found in shown])
    labels = [f"{name} ({found['images']})" for name, found in zip(names, shown, strict=True)]
    precision.set_yticks(places, labels, fontsize=9 if len(shown) <= 25 else 7)
    precision.invert_yaxis()
    precision.set_xlim(-0.02, 1.02)
    precision.set_xlabel("average precision, 95 % interval")
    counts.set_xlabel("validation images")
    of = f"the {MOST} lowest of " if len(classes) > MOST else ""
    figure.suptitle(f"Labels of {of}{len(classes)} classes, lowest first (images that have them)", fontsize=11)
    figure.legend(frameon=False, fontsize=8, loc="outside lower right", ncols=2)
    return figure
