"""Snapshots as a picture: the loss over the cycles, what the ensemble reaches, and how much its members differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CycleCurve", "snapshot_figure"]


@dataclass(frozen=True)
class CycleCurve:
    """The losses of a run and where its cycles end.

    Attributes:
        train_loss: Of each epoch, None where there is none.
        val_loss: Likewise.
        ends: Epochs that are done when each cycle ends.
    """

    train_loss: Sequence[float | None]
    val_loss: Sequence[float | None]
    ends: Sequence[float]


def snapshot_figure(result: Mapping[str, Any], curve: CycleCurve) -> "Figure":
    """Draw what ``snapshots/ensemble.json`` says, and the loss over the cycles.

    Args:
        result: ``last``, ``single``, ``soup`` and ``disagreement``.
        curve: The losses.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    loss, accuracy, pairs = figure.subplots(1, 3, width_ratios=(1.3, 1.2, 1))
    _draw_losses(loss, curve)
    _draw_accuracies(accuracy, result)
    _draw_disagreement(pairs, result["disagreement"])
    return figure


def _draw_losses(axes: "Axes", curve: CycleCurve) -> None:
    for values, colour, label in (
        (curve.train_loss, "tab:blue", "train_loss"),
        (curve.val_loss, "tab:orange", "val_loss"),
    ):
        points = [(epoch + 1, value) for epoch, value in enumerate(values) if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.4)
    at_ends = [(end, curve.val_loss[round(end) - 1]) for end in curve.ends if round(end) <= len(curve.val_loss)]
    marked = [(end, value) for end, value in at_ends if value is not None]
    if marked:
        axes.plot(*zip(*marked, strict=True), "o", color="tab:red", label="snapshot", markersize=5)
    for end in curve.ends:
        axes.axvline(end, color="0.8", linewidth=0.8, linestyle="--")
    axes.set_title("Loss over the cycles", loc="left", fontsize=10)
    axes.set_xlabel("epochs done")
    axes.set_ylabel("loss")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _value(row: Mapping[str, Any], metric: str) -> float:
    """What was measured; nan, which is not drawn, of a training that diverged."""
    return math.nan if row[metric] is None else float(row[metric])


def _draw_accuracies(axes: "Axes", result: Mapping[str, Any]) -> None:
    members, metric = range(1, len(result["last"]) + 1), result.get("metric", "accuracy")
    values = [_value(row, metric) for row in result["last"]]
    low, high = zip(*(row["ci95"] or (math.nan, math.nan) for row in result["last"]), strict=True)
    axes.fill_between(members, low, high, color="tab:blue", alpha=0.12, linewidth=0, label="95 % interval")
    axes.plot(members, values, "o-", color="tab:blue", label="mean of the last m")
    single = [_value(row, metric) for row in reversed(result["single"])]
    axes.plot(members, single, "x", color="tab:gray", label="m-th last alone")
    axes.axhline(max(single), color="tab:gray", linestyle=":", label=f"best alone: {max(single):.3f}")
    if result["soup"] is not None:
        soup = _value(result["soup"], metric)
        axes.axhline(soup, color="tab:green", linestyle="--", label=f"mean of the weights: {soup:.3f}")
    axes.set_title(f"Validation {metric}, ensemble of {len(values)}: {values[-1]:.3f}", loc="left", fontsize=10)
    axes.set_xlabel("snapshots m")
    axes.set_xticks(list(members))
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _draw_disagreement(axes: "Axes", shares: Sequence[Sequence[float]]) -> None:
    count = len(shares)
    axes.imshow(shares, cmap="Blues", vmin=0)
    highest = max(map(max, shares))
    for row in range(count):
        for column in range(count):
            share = shares[row][column]
            if count <= 10 and row != column:
                colour = "white" if share > 0.6 * highest else "black"
                axes.text(column, row, f"{100 * share:.1f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_title("Images predicted differently (%)", loc="left", fontsize=10)
    axes.set_xticks(range(count), [str(n + 1) for n in range(count)])
    axes.set_yticks(range(count), [str(n + 1) for n in range(count)])
    axes.set_xlabel("snapshot")
    axes.set_ylabel("snapshot")
