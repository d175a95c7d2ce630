"""Intervals by resampling images, for numbers that are no share of them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.randomness import numpy_generator_for

__all__ = ["bootstrap_interval", "image_counts", "percentile_interval", "resamples_of"]

RESAMPLES = 1000
AT_ONCE = 100


def image_counts(images: int, resamples: int = RESAMPLES) -> Tensor:
    """Return how often each image is drawn in each resample, (B, N), float64; the same for every call of this size."""
    generator = numpy_generator_for("bootstrap", images, seed=0)
    return torch.from_numpy(generator.multinomial(images, np.full(images, 1 / images), size=resamples)).double()


def bootstrap_interval(value_of: Callable[[Tensor], Tensor], images: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of a number over images drawn with replacement.

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", section 13.3.

    Args:
        value_of: From weights of the images (B, N) to the number for each of B resamples, nan where it is none.
        images: N.
    """
    return percentile_interval(resamples_of(value_of, images))


def resamples_of(value_of: Callable[[Tensor], Tensor], images: int) -> Tensor:
    """Return a number, or several, for each of the resamples, (B, ...); arguments as above."""
    counts = image_counts(images)
    return torch.cat([value_of(counts[i : i + AT_ONCE]) for i in range(0, len(counts), AT_ONCE)])


def percentile_interval(values: Tensor) -> tuple[float, float]:
    """Return the 95 % interval of a number from its resamples (B,), nan where none of them is a number."""
    known = values[values.isfinite()]
    if not len(known):
        return float("nan"), float("nan")
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=known.dtype)).tolist()
    return low, high
