"""Do probabilities mean what they say: the reliability curve, its error, and the temperature that mends it.

Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", sections 2 and 4.2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = ["Bin", "calibration_error", "cooled", "fit_temperature", "held_out_error", "reliability"]

BINS = 15
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


def reliability(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> list[Bin]:
    """Return the bins that hold images, of ``bins`` equal ones from 0 to 1.

    Args:
        labels: (N,).
        probabilities: (N, C).
        bins: Number of bins.
    """
    confidence, predicted = probabilities.double().max(dim=1)
    right = predicted == labels
    number = (confidence * bins).ceil().clamp(1, bins).long() - 1  # (a, b], as the paper has them
    found = []
    for index in range(bins):
        inside = number == index
        if images := int(inside.sum()):
            hits = int(right[inside].sum())
            found.append(Bin(images, float(confidence[inside].mean()), hits / images, wilson_interval(hits, images)))
    return found


def calibration_error(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> float:
    """Return the expected calibration error, ``sum_b n_b / N |accuracy_b - confidence_b|``, in [0, 1]."""
    parts = reliability(labels, probabilities, bins=bins)
    return sum(part.images * abs(part.accuracy - part.confidence) for part in parts) / len(labels)


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


def held_out_error(labels: Tensor, probabilities: Tensor, *, bins: int = BINS) -> float:
    """Return the calibration error with a temperature that was fitted on the other half of the images, for both halves.

    On the images that it was fitted on a temperature looks better than it is.
    """
    halves = torch.arange(len(labels)) % 2
    mended = probabilities.double().clone()
    for half in (0, 1):
        if bool((halves != half).any()) and bool((halves == half).any()):
            temperature = fit_temperature(labels[halves != half], probabilities[halves != half])
            mended[halves == half] = cooled(probabilities[halves == half], temperature)
    return calibration_error(labels, mended, bins=bins)
