"""Means over runs and images, and their differences: what other seeds and other images would have given."""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.evaluation.paired_shares import Z_POWER

__all__ = ["LEVEL", "Crossed", "crossed_difference", "crossed_mean"]

Values = NDArray[np.float64]
LEVEL = 0.05
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Crossed:
    """A mean over runs and images, or the difference of two.

    Attributes:
        value: The mean.
        half: Half of its 95 % interval; nan of a single image, which tells none.
        p_value: Two-sided, of its being 0.
        images_needed: How many images would show, four times in five, that a value of this size is not 0, with as many
            runs; None where no number would, or it is 0.
        runs_needed: How many runs a side would, on these images; likewise, and None where each side has one run, which
            does not tell how runs differ.
    """

    value: float
    half: float
    p_value: float
    images_needed: int | None
    runs_needed: int | None


@dataclass(frozen=True)
class _Runs:
    """How the runs of one side differ.

    Attributes:
        count: Of the runs that the mean is taken over; of a difference, by which the variance is to be divided.
        between: Variance of their means over the images.
        within: What of it comes from single images that turn out otherwise in each run: mean square of the interaction
            over the number of images.
        freedom: Degrees of freedom of ``between``.
    """

    count: float
    between: float
    within: float
    freedom: int


def crossed_mean(values: Values) -> Crossed:
    """Return the mean of a number over runs and images, with the interval for other seeds and other images.

    Args:
        values: (runs, images), such as 1 where an image is right, else 0.
    """
    return _crossed(values.mean(axis=0), [_runs_of(values)] if len(values) > 1 else [])


def crossed_difference(a: Values, b: Values, *, shares: bool = False, tests: int = 1) -> Crossed:
    """Return the difference of two recipes, each with one run or several, on the same images.

    Runs and images are both drawn, and each run sees each image: a crossed design of two random effects. Its variance
    is that over images plus that between the runs of each side, less what of both is counted twice; Student's t with
    the degrees of freedom of that sum. Where one side has a single run, runs are taken to differ as on the other; where
    both have, the interval speaks of these two runs alone.

    A bootstrap of two levels is not used: of few runs it finds too small a variance, so that its intervals hold the
    truth too rarely where seeds matter (``benchmarks/comparison_coverage.py``).

    Source: Owen (2007), "The pigeonhole bootstrap", section 3, for the variance; Satterthwaite (1946), "An approximate
    distribution of estimates of variance components", for its degrees of freedom; Agresti and Min (2005), "Simple
    improved confidence intervals for comparing matched proportions".

    Args:
        a: (runs, images).
        b: (runs, images), of the same images in the same order.
        shares: The values are 0 and 1. Two images are added for the variance, one that both sides have right or wrong
            and one that a side alone has right (Agresti and Min 2005): where no image differs, other images might.
        tests: Among how many it is one, for the numbers that are needed (Bonferroni's level).

    Example:
        >>> right = np.array([[1.0, 1, 1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 1, 1]])
        >>> found = crossed_difference(right, 1 - right)
        >>> round(found.value, 3), round(found.p_value, 4)
        (0.75, 0.0025)
    """
    known = [_runs_of(side) for side in (a, b) if len(side) > 1]
    if len(known) == 1:  # one variance, which stands twice in the difference
        known = [replace(known[0], count=1 / (1 / len(a) + 1 / len(b)))]
    there = max(len(a), len(b))
    return _crossed(a.mean(axis=0) - b.mean(axis=0), known, LEVEL / tests, shares=shares, there=there)


def _runs_of(values: Values) -> _Runs:
    runs, images = values.shape
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    within = float((rest**2).sum()) / ((runs - 1) * max(1, images - 1)) / images
    return _Runs(runs, float(values.mean(axis=1).var(ddof=1)), within, runs - 1)


def _crossed(
    by_image: Values, known: list[_Runs], level: float = LEVEL, *, shares: bool = False, there: int = 1
) -> Crossed:
    from scipy.stats import t

    images, value = len(by_image), float(by_image.mean())
    if images < 2:
        return Crossed(value, math.nan, 1.0, None, None)
    if shares:
        squares, count = float(((by_image - value) ** 2).sum()) + 1 + value**2, images + 2
        of_images = squares / (count - 1) / count
    else:
        of_images = float(by_image.var(ddof=1)) / images
    parts = [(of_images, images - 1)]
    for runs in known:
        parts += [(runs.between / runs.count, runs.freedom), (-runs.within / runs.count, runs.freedom * (images - 1))]
    variance = max(sum(part for part, _ in parts), of_images)
    if not variance > 0:  # every image says the same in every run
        return Crossed(value, 0.0, 1.0 if value == 0 else 0.0, None, None)
    # What is subtracted may leave next to nothing of the sum, and fewer degrees of freedom than any part has.
    least = min(free for part, free in parts if free and part > 0)
    freedom = max(least, variance**2 / sum(part**2 / free for part, free in parts if free))
    error = math.sqrt(variance)
    p_value = 2 * float(t.sf(abs(value) / error, freedom))
    half = float(t.ppf(0.975, freedom)) * error
    allowed = (value / (float(t.isf(level / 2, freedom)) + Z_POWER)) ** 2
    lasting = sum(max(0.0, runs.between - runs.within) / runs.count for runs in known)  # which no image takes away
    more_images = math.ceil(of_images * images / (allowed - lasting)) if allowed > lasting else None
    more_runs = _runs_needed(value, of_images, images, known, level, fewest=2 if p_value < level else there + 1)
    if more_images is not None and p_value >= level:  # these do not
        more_images = max(more_images, images + 1)
    return Crossed(value, half, p_value, more_images, more_runs)


def _runs_needed(
    value: float, of_images: float, images: int, known: list[_Runs], level: float, *, fewest: int
) -> int | None:
    """Runs a side by which the error is as small as the value asks for; no fewer than ``fewest``."""
    from scipy.stats import t

    if not known:
        return None
    rest = max(0.0, of_images - sum(runs.within / runs.count for runs in known))
    between = sum(max(runs.between, runs.within) for runs in known) * (2 / len(known))

    def shown(runs: int) -> bool:
        variance = rest + between / runs
        freedom = variance**2 / (rest**2 / (images - 1) + (between / runs) ** 2 / (2 * (runs - 1)))
        return abs(value) >= (float(t.isf(level / 2, freedom)) + Z_POWER) * math.sqrt(variance)

    return bisect_left(range(MOST_RUNS), True, lo=fewest, key=shown) if shown(MOST_RUNS) else None
