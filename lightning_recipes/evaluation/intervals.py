"""Confidence intervals for what is read off a finite set of images."""

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["Z_95", "difference_interval", "paired_difference", "wilson_interval", "wilson_of"]

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share, which stays in [0, 1] and is honest for few images and shares near 1.

    SciPy's. The share itself is always inside.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    Args:
        correct: Number of hits, 0 to ``total``.
        total: Number of images, >= 1.

    Raises:
        ValueError: ``total`` is not >= 1 or ``correct`` not within it.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(145, 153)]
        [0.9002, 0.9733]
    """
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"wilson_interval: {correct} of {total} is not a share of at least one image")
    from scipy.stats import binomtest

    # SciPy tests the share too, which the interval does not need; against the share itself that is a tenth of the time.
    interval = binomtest(correct, total, correct / total).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def wilson_of(share: float, total: int) -> tuple[float, float]:
    """Return the interval of :func:`wilson_interval` for a number that is like a share of so many images.

    Args:
        share: In [0, 1].
        total: >= 1.

    Example:
        >>> [round(bound, 4) for bound in wilson_of(145 / 153, 153)]
        [0.9002, 0.9733]
    """
    middle, spread = share + Z_95**2 / (2 * total), share * (1 - share) / total + Z_95**2 / (4 * total**2)
    half, scale = Z_95 * math.sqrt(spread), 1 + Z_95**2 / total
    return min(share, max(0.0, (middle - half) / scale)), max(share, min(1.0, (middle + half) / scale))


def paired_difference(differences: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the mean of differences, one an image, and half of its 95 % interval, by their standard error.

    Args:
        differences: Such as 1, 0 or -1 where one of two judges is right and the other is not.

    Example:
        >>> mean, half = paired_difference([1, 0, 0, 0, -1, 1, 1, 0])
        >>> round(mean, 3), round(half, 3)
        (0.25, 0.49)
    """
    found = np.asarray(differences, dtype=np.float64)
    half = Z_95 * float(found.std(ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return float(found.mean()), half


def difference_interval(
    correct: int, total: int, other_correct: int, other_total: int, *, times: float = 1.0, other_of: int | None = None
) -> tuple[float, float]:
    """Return the 95 % interval of ``p - times * q``, for shares p and q of two different sets of images.

    ``d - sqrt((p - l_p)² + t² (u_q - q)²)`` to ``d + sqrt((u_p - p)² + t² (q - l_q)²)`` with d = p - t q and Wilson's
    intervals l to u. Where 0 is outside, the two shares differ by more than chance.

    Source: Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10; with
    a factor, Zou and Donner (2008), "Construction of confidence intervals about effect measures". Of a finite set that
    was drawn from, Cochran (1977), "Sampling Techniques", section 2.6: its interval times sqrt((N - n) / (N - 1)).

    Args:
        correct: Hits of the first set.
        total: Its images, >= 1.
        other_correct: Hits of the second.
        other_total: Its images, >= 1.
        times: How often the second share is subtracted, > 0.
        other_of: Take q for the share of so many images, which the second set was drawn from; where they are all in it,
            q is known (default: of endlessly many).

    Example:
        >>> [round(bound, 4) for bound in difference_interval(56, 70, 48, 80)]
        [0.0524, 0.3339]
    """
    p, (p_low, p_high) = correct / total, wilson_interval(correct, total)
    q, (q_low, q_high) = other_correct / other_total, wilson_interval(other_correct, other_total)
    difference = p - times * q
    if other_of is not None:
        times *= math.sqrt((other_of - other_total) / max(1, other_of - 1))
    return (
        difference - math.hypot(p - p_low, times * (q_high - q)),
        difference + math.hypot(p_high - p, times * (q - q_low)),
    )
