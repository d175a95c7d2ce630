"""How well each class is told from the others over all thresholds: ROC and precision-recall curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from lightning_recipes.evaluation.percent import percent
from lightning_recipes.evaluation.ranking import Curve, curve
from lightning_recipes.figures.class_labels import class_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["roc_figures"]

MOST = 8  # classes that can be told apart in one picture
LONGEST = 18  # columns of a name
POINTS = 400


def roc_figures(
    labels: Tensor, probabilities: Tensor, names: Sequence[str], classes: Sequence[Mapping[str, Any]]
) -> "dict[str, Figure]":
    """Return ``roc``, the curves of the classes with the smallest areas; nothing where no class has one.

    A dot is the class's ``threshold``.

    Args:
        labels: (N,), or (N, C) of 0 and 1.
        probabilities: (N, C).
        names: Of the classes.
        classes: With ``roc_auc``, ``average_precision`` and ``threshold`` of each.
    """
    from matplotlib.figure import Figure

    known = [c for c, found in enumerate(classes) if found["roc_auc"]["value"] is not None]
    shown = sorted(known, key=lambda c: classes[c]["roc_auc"]["value"])[:MOST]
    if not shown:
        return {}
    figure = Figure(figsize=(9.2, 4.9), layout="constrained")
    roc, precision_recall = figure.subplots(1, 2)
    roc.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for place, (c, name) in enumerate(zip(shown, class_labels([names[c] for c in shown], LONGEST, shown), strict=True)):
        points = curve(labels[:, c] if labels.ndim == 2 else labels == c, probabilities[:, c])
        at, colour, found = _drawn(points), f"C{place}", classes[c]
        area, precision = (percent(found[key]["value"]) for key in ("roc_auc", "average_precision"))
        false, found_, right = 1 - points.specificity.numpy(), points.sensitivity.numpy(), points.precision.numpy()
        label = f"{name}: {area}, {precision}"
        roc.plot([0, *false[at]], [0, *found_[at]], color=colour, linewidth=1.3, label=label)
        precision_recall.plot(found_[at], right[at], color=colour, linewidth=1.3)
        dot = max(0, int((points.thresholds >= found["threshold"]).sum()) - 1)
        roc.plot(false[dot], found_[dot], "o", color=colour, markersize=5)
        precision_recall.plot(found_[dot], right[dot], "o", color=colour, markersize=5)
    for axes, across, up in (
        (roc, "share of the others that is taken for it", "sensitivity: share of the class that is found"),
        (precision_recall, "sensitivity: share of the class that is found", "precision: share of it that is right"),
    ):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
    of = f"the {MOST} lowest of {len(names)} classes" if len(names) > MOST else "each class against the others"
    figure.suptitle(f"ROC and precision-recall, {of}; a dot is the chosen threshold", fontsize=11)
    columns = min(4, len(shown))
    title = "area under the ROC curve, average precision"
    figure.legend(title=title, frameon=False, fontsize=8, title_fontsize=8, loc="outside lower center", ncols=columns)
    return {"roc": figure}


def _drawn(points: Curve) -> "np.typing.NDArray[np.int64]":
    """Positions of the points that are drawn: a line of a million looks no other."""
    count = len(points.thresholds)
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))
