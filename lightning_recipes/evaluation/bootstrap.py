"""Intervals by resampling images, for numbers that are no share of them."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.evaluation.intervals import Z_95
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["image_counts", "logit_interval", "resamples_of", "share_interval"]

RESAMPLES = 1000
AT_ONCE = 100
ROUNDING = 1e-9
LARGEST = 700.0  # exponent of a float


def image_counts(images: int, resamples: int = RESAMPLES) -> Tensor:
    """Return how often each image is drawn in each resample, (B, N), float64; the same for every call of this size."""
    generator = numpy_generator_for("bootstrap", images, seed=0)
    return torch.from_numpy(generator.multinomial(images, np.full(images, 1 / images), size=resamples)).double()


def resamples_of(value_of: Callable[[Tensor], Tensor], images: int) -> Tensor:
    """Return a number, or several, for each of the resamples, (B, ...).

    Args:
        value_of: From weights of the images (B, N) to the number for each of B resamples, nan where it is none.
        images: N.
    """
    counts = image_counts(images)
    return torch.cat([value_of(counts[i : i + AT_ONCE]) for i in range(0, len(counts), AT_ONCE)])


def share_interval(value: float, resampled: Tensor) -> tuple[float, float] | None:
    """Return the 95 % interval of a number in [0, 1], such as an average precision, from its bootstrap standard error.

    Normal on the scale of ``log(v / (1 - v))``, so that it holds the value and stays in [0, 1]. Percentiles of the
    resamples would not hold it: an image that is drawn twice ranks beside itself, so a precision of few images is
    higher in the resamples than in the images.

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", sections 6.2 and 12.5.

    Args:
        value: Of the images as they are.
        resampled: The number for each resample, (B,), nan where it is none.

    Returns:
        None where the resamples tell nothing: there are no two, or all say the same, as of one image.
    """
    known = resampled[resampled.isfinite()].double()
    return logit_interval(value, Z_95 * float(known.std())) if len(known) > 1 else None


def logit_interval(value: float, half: float) -> tuple[float, float] | None:
    """Return an interval of a number in [0, 1] that is symmetric on the scale of ``log(v / (1 - v))``.

    Args:
        value: The number.
        half: Half of its width where the scale is the number's own.

    Returns:
        None where there is no width.
    """
    if not math.isfinite(value) or not half > ROUNDING:
        return None
    inside = min(max(value, ROUNDING), 1 - ROUNDING)
    centre, half = math.log(inside / (1 - inside)), half / (inside * (1 - inside))
    low, high = (1 / (1 + math.exp(min(-edge, LARGEST))) for edge in (centre - half, centre + half))
    return min(low, value), max(high, value)
