"""Two judges on the same images: the difference of their shares of right answers, and whether it is chance."""

import math

from lightning_recipes.evaluation.intervals import Z_95

__all__ = ["Z_POWER", "images_to_show", "mcnemar_p_value", "paired_share_interval"]

Z_POWER = 0.8416212335729143
"""Quantile of the standard normal distribution for a power of 0.8: how often a difference of the size that was seen is
to be shown, where it is asked how many images that takes."""
TINY = 1e-12


def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p-value of two judges being as often right, on the same images.

    A binomial test of the images that one of them alone has right, against one half.

    Source: McNemar (1947), "Note on the sampling error of the difference between correlated proportions"; exact as in
    Dietterich (1998), "Approximate statistical tests for comparing supervised classification learning algorithms".

    Args:
        only_a: Images that the first alone has right.
        only_b: Images that the second alone has right.

    Example:
        >>> round(mcnemar_p_value(12, 3), 4), mcnemar_p_value(0, 0)
        (0.0352, 1.0)
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def paired_share_interval(only_a: int, only_b: int, images: int) -> tuple[float, float]:
    """Return the 95 % score interval of the difference of two shares of the same images.

    Honest for few images and for few that differ, where the normal one is too narrow; wide where none differs, too.

    Source: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", equations 11 and 22.

    Args:
        only_a: Images that the first alone has right.
        only_b: Images that the second alone has right.
        images: All of them, >= 1.

    Example:
        >>> [round(bound, 3) for bound in paired_share_interval(0, 1, 44)]
        [-0.118, 0.059]
    """
    from scipy.optimize import brentq

    def score(difference: float) -> float:
        return _score(only_a, only_b, images, difference)

    middle, end = (only_a - only_b) / images, 1 - TINY
    low = -1.0 if score(-end) <= Z_95 else brentq(lambda d: score(d) - Z_95, -end, middle)
    high = 1.0 if score(end) >= -Z_95 else brentq(lambda d: score(d) + Z_95, middle, end)
    return float(low), float(high)


def _score(only_a: int, only_b: int, images: int, difference: float) -> float:
    """How far what was seen is from a difference, in standard errors of what that difference would give."""
    b = -only_a - only_b + (2 * images - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 8 * images * c, 0.0)) - b) / (4 * images)  # of only_b, most likely under it
    variance = images * (2 * share + difference * (1 - difference))
    apart = only_a - only_b - images * difference
    if variance < TINY:
        return 0.0 if abs(apart) < TINY else math.copysign(math.inf, apart)
    return apart / math.sqrt(variance)


def images_to_show(only_a: int, only_b: int, images: int, *, tests: int = 1) -> int | None:
    """Return how many images would show a difference of this size four times in five, at a level of 5 %.

    Source: Connor (1987), "Sample size for testing differences in proportions for the paired-sample design".

    Args:
        only_a: Images that the first alone has right.
        only_b: Images that the second alone has right.
        images: All of them, >= 1.
        tests: Among how many it is one; each has its share of the 5 % (Bonferroni).

    Returns:
        None where there is no difference.

    Example:
        >>> images_to_show(20, 10, 200)
        469
    """
    from scipy.stats import norm

    apart, differ = abs(only_a - only_b) / images, (only_a + only_b) / images
    if not apart:
        return None
    return math.ceil(
        ((float(norm.isf(0.025 / tests)) * math.sqrt(differ) + Z_POWER * math.sqrt(differ - apart**2)) / apart) ** 2
    )
