"""Thresholds for the answer yes: chosen on one half of the images, and judged on the other."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_recipes.evaluation.confusion import Share, share_of
from lightning_recipes.evaluation.halves import halves_of
from lightning_recipes.evaluation.ranking import curve

__all__ = ["Chosen", "chosen_threshold", "coverage_curve", "rejection"]

UNSEEN = 0.5
COVERAGES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True)
class Chosen:
    """A threshold for one class, and what it does to images that it was not chosen on.

    Attributes:
        threshold: Chosen on all images; yes from there on.
        sensitivity: Share of the class's images that are found, by thresholds of the other half.
        specificity: Share of the others that are left out, likewise.
    """

    threshold: float
    sensitivity: Share
    specificity: Share


def chosen_threshold(labels: Tensor, probabilities: Tensor) -> Chosen:
    """Choose a class's threshold, where sensitivity and specificity have the largest sum (Youden 1950), and judge it.

    Args:
        labels: (N,) of 0 and 1.
        probabilities: (N,).
    """
    p = probabilities.double()
    said = p >= UNSEEN
    for choose_on, judge_on in halves_of(len(labels)):
        if choose_on.any():
            said[judge_on] = p[judge_on] >= _youden(labels[choose_on], p[choose_on])
    yes = labels > 0
    found, left_out = int((said & yes).sum()), int((~said & ~yes).sum())
    return Chosen(_youden(labels, p), share_of(found, int(yes.sum())), share_of(left_out, int((~yes).sum())))


def coverage_curve(sure: Tensor, right: Tensor) -> list[dict[str, float | None]]:
    """Return what is right among the images that a model is surest of, for thresholds that reject the others.

    Each threshold of :data:`COVERAGES` is chosen on one half of the images and judged on the other, both ways.

    Source: El-Yaniv and Wiener (2010), "On the foundations of noise-free selective classification".

    Args:
        sure: Probability of what is said, (N,).
        right: Whether it is right, (N,).

    Returns:
        For each: ``threshold`` (chosen on all images), ``coverage`` (share of the images from it on), and of these
        ``accuracy``, ``low`` and ``high`` (95 %).
    """
    rows: list[dict[str, float | None]] = []
    for wanted in COVERAGES:
        kept = torch.zeros(len(sure), dtype=torch.bool)
        for choose_on, judge_on in halves_of(len(sure)):
            kept[judge_on] = sure[judge_on] >= _threshold_for(wanted, sure[choose_on])
        found = share_of(int((kept & right).sum()), int(kept.sum()))
        rows.append(
            {
                "threshold": _threshold_for(wanted, sure),
                "coverage": int(kept.sum()) / max(1, len(sure)),
                "accuracy": found.value,
                "low": found.low,
                "high": found.high,
            }
        )
    return rows


def rejection(sure: Tensor, right: Tensor, below: float) -> dict[str, Any]:
    """Return what a threshold does that was given and not chosen on these images.

    Args:
        sure: Probability of what is said, (N,).
        right: Whether it is right, (N,).
        below: Images of a lower probability are rejected.

    Returns:
        ``below``, ``images`` that are rejected, their ``share``, and the accuracy of them and of the others.
    """
    rejected = ~(sure >= below)  # and what is no number
    parts = [share_of(int((right & some).sum()), int(some.sum())) for some in (rejected, ~rejected)]
    return {
        "below": below,
        "images": int(rejected.sum()),
        "share": asdict(share_of(int(rejected.sum()), len(sure))),
        "accuracy_of_rejected": asdict(parts[0]),
        "accuracy_of_others": asdict(parts[1]),
    }


def _youden(labels: Tensor, probabilities: Tensor) -> float:
    yes = labels > 0
    if not yes.any() or yes.all():
        return UNSEEN
    points = curve(labels, probabilities)
    best = int((points.sensitivity + points.specificity).argmax())
    # Half-way to the next, so that it is not a matter of one image.
    below = float(points.thresholds[best + 1]) if best + 1 < len(points.thresholds) else 0.0
    return (float(points.thresholds[best]) + below) / 2


def _threshold_for(coverage: float, sure: Tensor) -> float:
    """Return the threshold from which on a share of the images is; 0 for all of them."""
    if coverage == 1 or not len(sure):
        return 0.0
    return float(sure.double().sort().values[min(round((1 - coverage) * len(sure)), len(sure) - 1)])
