"""Do probabilities mean what they say: the reliability curve, its error, and the temperature that mends it.

Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", sections 2 and 4.2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_recipes.evaluation.halves import halves_of
from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = [
    "Bin",
    "bin_sums",
    "calibration_error",
    "calibration_figures",
    "cooled",
    "error_of_sums",
    "fit_temperature",
    "held_out_error",
    "reliability",
]

BINS = 15
UNIT = 2.0**-36  # of summed probabilities: a hundred million of them fit into 64 bits
SMALLEST = 1e-12  # a probability of zero has no logarithm


@dataclass(frozen=True)
class Bin:
    """Images whose largest probability lies between two bounds.

    Attributes:
        images: How many.
        confidence: Mean of the largest probability.
        accuracy: Share that is right.
        ci95: Wilson's interval of the accuracy.
    """

    images: int
    confidence: float
    accuracy: float
    ci95: tuple[float, float]


def bin_sums(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> Tensor:
    """Return (3, ``bins`` + 1) whole numbers, int64, that add up over batches and processes without rounding.

    For each bin (a, b] of ``bins`` equal ones from 0 to 1, as the paper has them, then for what is no number: images,
    those that are right, and the sum of their largest probability in units of ``UNIT``.

    A probability that is an edge in its own precision belongs to the bin below. torchmetrics' error is not used: it has
    the bins [a, b) and one more for probabilities of exactly 1, keeps every probability, and adds them up in the order
    in which they come, so that batches of another size change its last digits.

    Args:
        labels: (N,).
        probabilities: (N, C).
        bins: Number of bins.
    """
    confidence, predicted = probabilities.max(dim=1)
    edges = torch.tensor([i / bins for i in range(1, bins)], dtype=confidence.dtype, device=confidence.device)
    number = torch.bucketize(confidence, edges).masked_fill(confidence.isnan(), bins)
    inside = number[:, None] == torch.arange(bins + 1, device=number.device)
    units = (confidence.nan_to_num() / UNIT).round().long()  # a power of two: exact for float32
    return torch.stack([(inside * of[:, None]).sum(dim=0) for of in (inside.new_ones(1), predicted == labels, units)])


def reliability(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> list[Bin]:
    """Return the bins that hold images, of ``bins`` equal ones from 0 to 1.

    Args:
        labels: (N,).
        probabilities: (N, C).
        bins: Number of bins.
    """
    return _reliability(bin_sums(labels, probabilities, bins=bins))


def _reliability(sums: Tensor) -> list[Bin]:
    found = []
    for images, hits, units in sums[:, :-1].T.tolist():
        if images:
            found.append(Bin(images, units * UNIT / images, hits / images, wilson_interval(hits, images)))
    return found


def calibration_error(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> float:
    """Return the expected calibration error, ``sum_b n_b / N |accuracy_b - confidence_b|``, in [0, 1].

    It is nan where a probability is no number.
    """
    return error_of_sums(bin_sums(labels, probabilities, bins=bins))


def error_of_sums(sums: Tensor) -> float:
    """Return the expected calibration error of what :func:`bin_sums` gave, added up; nan of no images."""
    images, unknown = int(sums[0].sum()), int(sums[0, -1])
    if unknown or not images:
        return math.nan
    return sum(part.images * abs(part.accuracy - part.confidence) for part in _reliability(sums)) / images


def cooled(probabilities: Tensor, temperature: float) -> Tensor:
    """Return ``softmax(log p / T)``: above 1 less sure, below 1 surer; the order stays."""
    return (probabilities.double().clamp_min(SMALLEST).log() / temperature).softmax(dim=1)


def fit_temperature(labels: Tensor, probabilities: Tensor) -> float:
    """Return the temperature T in [0.05, 20] of the least negative log likelihood of ``softmax(log p / T)``.

    Args:
        labels: (N,).
        probabilities: (N, C).
    """
    from scipy.optimize import minimize_scalar

    logits = probabilities.double().clamp_min(SMALLEST).log()

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / math.exp(log_temperature), labels))

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return math.exp(found.x)


def held_out_error(labels: Tensor, probabilities: Tensor, *, bins: int = BINS, an_image: int = 1) -> float:
    """Return the calibration error with a temperature that was fitted on the other half of the images, for both halves.

    On the images that it was fitted on a temperature looks better than it is. ``an_image`` rows are of one image.
    """
    mended = probabilities.double().clone()
    for halves in halves_of(len(labels) // an_image):
        fit_on, judge_on = (half.repeat_interleave(an_image) for half in halves)
        if bool(fit_on.any()) and bool(judge_on.any()):
            temperature = fit_temperature(labels[fit_on], probabilities[fit_on])
            mended[judge_on] = cooled(probabilities[judge_on], temperature)
    return calibration_error(labels, mended, bins=bins)


def calibration_figures(labels: Tensor, probabilities: Tensor, *, an_image: int = 1) -> dict[str, float | None]:
    """Return ``error``, ``temperature`` and ``error_with_temperature``; None where a probability is no number.

    Args:
        labels: (N,).
        probabilities: (N, C).
        an_image: Rows that are of one image.
    """
    if not probabilities.isfinite().all():
        return dict.fromkeys(("error", "temperature", "error_with_temperature"))
    return {
        "error": calibration_error(labels, probabilities),
        "temperature": fit_temperature(labels, probabilities),
        "error_with_temperature": held_out_error(labels, probabilities, an_image=an_image),
    }
