"""The 95 % interval of any metric of a split, by drawing its images again."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from lightning_recipes.evaluation.bootstrap import image_counts, share_interval
from lightning_recipes.evaluation.intervals import Z_95, wilson_interval

__all__ = ["Interval", "loss_interval", "metric_intervals"]

Interval = tuple[float, float] | None
RESAMPLES = 200
"""Enough for a standard error within a twentieth of itself (Efron and Tibshirani 1993, section 6.4)."""
SAME = 1e-3
"""By how much, as a share, a loss of probabilities may be another than that of the logits that they were."""
SMALLEST = 1e-12


def metric_intervals(metrics: MetricCollection, probabilities: Tensor, labels: Tensor) -> dict[str, Interval]:
    """Return the interval of each metric; None where the images tell none, as of a metric that is perfect.

    Of an accuracy Wilson's, of any other metric from the standard error over resamples of the images.

    Args:
        metrics: Of a module, on the CPU; reset before and after.
        probabilities: (N, C), float32, on the CPU.
        labels: As the metrics take them.
    """
    values = _computed(metrics, probabilities, labels)
    found: dict[str, Interval] = {}
    draws = [_computed(metrics, probabilities[drawn], labels[drawn]) for drawn in _draws(len(labels))]
    for name, value in values.items():
        if name.endswith("accuracy"):
            found[name] = wilson_interval(round(value * len(labels)), len(labels))
        else:
            drawn = torch.tensor([one[name] for one in draws])
            found[name] = share_interval(value, drawn) if 0 <= value <= 1 else _of_mean(value, drawn)
    return found


def loss_interval(
    value: float, loss_of: Callable[[Tensor, Tensor], Tensor], probabilities: Tensor, labels: Tensor
) -> Interval:
    """Return the interval of a loss; None where the loss is not one of the probabilities.

    Args:
        value: Of all images.
        loss_of: Mean loss of logits (N, C) and labels.
        probabilities: (N, C), of a softmax.
        labels: (N,).
    """
    logits = probabilities.clamp_min(SMALLEST).log()
    again = float(loss_of(logits, labels))
    if not math.isfinite(value) or abs(again - value) > SAME * max(1.0, abs(value)):
        return None
    drawn = [float(loss_of(logits[some], labels[some])) for some in _draws(len(labels))]
    return _of_mean(value, torch.tensor(drawn))


def _draws(images: int) -> list[Tensor]:
    return [torch.arange(images).repeat_interleave(counts.long()) for counts in image_counts(images, RESAMPLES)]


def _computed(metrics: MetricCollection, probabilities: Tensor, labels: Tensor) -> Mapping[str, float]:
    metrics.reset()
    metrics.update(probabilities, labels)
    values = {name: float(value) for name, value in metrics.compute().items()}
    metrics.reset()
    return values


def _of_mean(value: float, resampled: Tensor) -> Interval:
    known = resampled[resampled.isfinite()].double()
    half = Z_95 * float(known.std()) if len(known) > 1 else math.nan
    return (value - half, value + half) if math.isfinite(half) else None
