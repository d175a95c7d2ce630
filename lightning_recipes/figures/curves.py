"""Learning curves: loss and accuracy over the epochs."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lightning_recipes.figures.stages import mark_stages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["learning_curves"]

STYLES = ("-", "--", ":", "-.")  # of training, one for each kind of images
SAID = {
    "map": "mean average precision",
    "f1": "F1",
    "generator_loss": "loss of the generator",
    "discriminator_loss": "loss of the discriminator",
    "frechet_distance": "Frechet distance",
    "pretext_loss": "loss of the method",
    "knn_accuracy": "accuracy of the nearest neighbours",
    "embedding_rank": "directions of the embeddings",
}
OF_ADVERSARIES = ("frechet_distance", "generator_loss", "discriminator_loss")
OF_PRETRAINING = ("pretext_loss", "accuracy", "knn_accuracy", "embedding_rank")
DIVERGED = 100  # times its median: a loss that would hide all others

Points = list[tuple[int, float]]


def learning_curves(
    rows: Sequence[Mapping[str, str]],
    boundaries: Mapping[str, int] | None = None,
    measured: Mapping[str, str] | None = None,
) -> "Figure":
    """Draw the loss and what is measured of training and validation over the epochs.

    That is the accuracy, or with several labels an image the mean average precision and F1; without either the loss
    alone. Of adversaries it is the Frechet distance and the loss of each; of a pretraining the method's loss, what the
    probe and the nearest neighbours reach, and over how many directions the embeddings vary.

    The curve of training is interrupted where it begins to be measured on other images, because a step there is one of
    the images and not of the model; the legend, which is below the panels, says on which.

    Args:
        rows: Rows of ``metrics.csv``: ``epoch`` and values by name, empty where a row has none.
        boundaries: First epoch of each stage, by its name, rising; drawn as lines.
        measured: What each stage's training is measured on, such as ``augmented images``, by its name.
    """
    # The object, not pyplot: no window system is touched, and nothing global is left behind.
    from matplotlib.figure import Figure

    boundaries, measured = boundaries or {}, measured or {}
    kinds = list(dict.fromkeys(measured.values()))
    logged = {name for name in ("accuracy", "map", "f1") if any(_points(rows, f"{p}_{name}") for p in ("train", "val"))}
    names = ["loss", *(("accuracy",) if "accuracy" in logged else sorted(logged, reverse=True))]
    if any(_points(rows, f"train_{name}") for name in OF_ADVERSARIES):
        names = list(OF_ADVERSARIES)
    elif _points(rows, "train_pretext_loss"):
        names = [name for name in OF_PRETRAINING if any(_points(rows, f"{p}_{name}") for p in ("train", "val"))]
    figure = Figure(figsize=(max(9, 4.2 * len(names)), 4.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for kind, points in _parts(_points(rows, f"train_{name}"), boundaries, measured):
            style = STYLES[kinds.index(kind) % len(STYLES)] if kind in kinds else "-"
            label = f"training, on {kind}" if len(kinds) > 1 else "training"
            _draw(axes, points, "tab:blue", label, style)
        _draw(axes, _points(rows, f"val_{name}"), "tab:orange", "validation", "-")
        if name == "loss":
            _keep_readable(axes)
        if name == "frechet_distance":
            axes.set_yscale("log")  # it falls by a factor of a hundred
        axes.margins(x=0.03)
        mark_stages(axes, {stage: epoch - 0.5 for stage, epoch in boundaries.items()})
        axes.set_xlabel("epoch")
        axes.set_ylabel(SAID.get(name, name))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines if line.get_gid() == "curve"}
    if lines:
        figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=len(lines), frameon=False)
    return figure


def _points(rows: Sequence[Mapping[str, str]], key: str) -> Points:
    """Epochs and values; those that are not finite cannot be drawn."""
    found = [(int(row["epoch"]), float(row[key])) for row in rows if row.get(key)]
    return [point for point in found if math.isfinite(point[1])]


def _parts(points: Points, boundaries: Mapping[str, int], measured: Mapping[str, str]) -> list[tuple[str, Points]]:
    """Split points where they begin to be measured on something else."""

    def kind(point: tuple[int, float]) -> str:
        begun = [stage for stage, first in boundaries.items() if first <= point[0]]
        return measured.get(begun[-1], "") if begun else ""

    return [(name, list(part)) for name, part in groupby(points, key=kind)]


def _draw(axes: "Axes", points: Points, colour: str, label: str, style: str) -> None:
    if points:
        marker = "o" if len(points) < 4 else ""
        axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker, linestyle=style, gid="curve")


def _keep_readable(axes: "Axes") -> None:
    """Take a logarithmic axis where a loss that diverged would make a flat line of all others."""
    values = [value for line in axes.lines for value in np.asarray(line.get_ydata(), dtype=float)]
    if values and min(values) > 0 and max(values) > DIVERGED * np.median(values):
        axes.set_yscale("log")
