"""The learning rate range test as numbers: the curve of loss over rates, and what it suggests.

Sources: Smith (2015), "Cyclical Learning Rates for Training Neural Networks", section 3.3; the suggestions' names are
fastai's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUGGESTIONS", "Suggestion", "geometric_rates", "has_diverged", "mean_curve", "smooth", "suggest"]

Floats = Sequence[float] | NDArray[np.float64]


def geometric_rates(min_lr: float, max_lr: float, steps: int) -> list[float]:
    """Return ``steps`` rates from ``min_lr`` to ``max_lr``, each the same factor above the one before.

    Example:
        >>> geometric_rates(0.001, 1.0, 4)
        [0.001, 0.01, 0.1, 1.0]
    """
    return [float(f"{rate:.12g}") for rate in np.geomspace(min_lr, max_lr, steps)]  # as they are printed


def smooth(losses: Floats, beta: float) -> list[float]:
    """Return the exponential moving average of losses, with its start corrected for what it has not seen.

    ``a_i = beta a_(i-1) + (1 - beta) loss_i``, divided by ``1 - beta ** (i + 1)``.

    Source: Kingma and Ba (2015), "Adam", section 3, for the correction.

    Example:
        >>> [round(value, 3) for value in smooth([1.0, 1.0, 4.0], beta=0.5)]
        [1.0, 1.0, 2.714]
    """
    average, smoothed = 0.0, []
    for i, loss in enumerate(losses):
        average = beta * average + (1 - beta) * float(loss)
        smoothed.append(average / (1 - beta ** (i + 1)))
    return smoothed


def has_diverged(losses: Sequence[float], *, beta: float, threshold: float) -> bool:
    """Tell whether the last loss is not finite, or the smoothed loss ``threshold`` times its lowest so far.

    Args:
        losses: Measured from what they can fall to, >= 0: of a loss below zero no multiple says that it rose.
        beta: Weight of the past in the smoothed loss.
        threshold: > 1.
    """
    if not math.isfinite(losses[-1]):
        return True
    smoothed = smooth(losses, beta)
    return 0 < threshold * min(smoothed) < smoothed[-1]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several curves, as far as the shortest of them goes."""
    shortest = min(len(curve) for curve in curves)
    mean: list[float] = np.mean([curve[:shortest] for curve in curves], axis=0).tolist()
    return mean


def steep(rates: Floats, losses: Floats, *, near: float = 0.9) -> float | None:
    """Return the rate at which the loss falls fastest on the logarithm of the rate.

    Among rates of nearly the same slope the highest, since warm restarts will visit the lower ones.

    Args:
        rates: Rising.
        losses: Smoothed.
        near: Share of the steepest slope that counts as the same.
    """
    end = int(np.argmin(losses)) + 1
    if end < 2:
        return None
    slopes = np.gradient(np.asarray(losses[:end]), np.log(np.asarray(rates[:end])))
    steepest = slopes.min()
    if not steepest < 0:
        return None
    return float(rates[int(np.flatnonzero(slopes <= near * steepest)[-1])])


def valley(rates: Floats, losses: Floats) -> float | None:
    """Return the rate in the middle of the longest run of ever lower losses (not all next to each other).

    The middle: half way through its second third, where the descent is under way and its end not near.
    """
    length, before = [1] * len(losses), [-1] * len(losses)
    for i in range(len(losses)):
        for j in range(i):
            if losses[j] > losses[i] and length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    at = int(np.argmax(length))
    run = [at]
    while before[run[-1]] >= 0:
        run.append(before[run[-1]])
    if len(run) < 3:
        return None
    run.reverse()
    return float(rates[run[len(run) // 2]])


def slide(rates: Floats, losses: Floats, *, window: float = 0.15, flat: float = 0.05) -> float | None:
    """Return where an interval that slides down from the highest rates finds one slope at both of its ends.

    Coming from the divergence, the slopes at the ends of the interval differ until it lies within the descent.

    Source: the discussion of fastai's interval slide rule; window and threshold here are relative, so that neither the
    number of steps nor the scale of the loss matters.

    Args:
        rates: Rising.
        losses: Smoothed.
        window: Length of the interval as a share of the curve.
        flat: Largest difference of the slopes, as a share of the largest slope of the curve.
    """
    slopes = np.gradient(np.asarray(losses, dtype=float))
    width, right = max(1, round(window * len(slopes))), int(np.argmin(losses))
    limit = flat * float(np.abs(slopes).max(initial=0.0))
    while right - width >= 0:
        if slopes[right] < 0 and abs(slopes[right] - slopes[right - width]) <= limit:
            return float(rates[right])
        right -= 1
    return None


def minimum(rates: Floats, losses: Floats) -> float | None:
    """Return a tenth of the rate of the lowest loss: at the lowest itself the loss is about to rise."""
    return float(rates[int(np.argmin(losses))]) / 10


def divergence(rates: Floats, losses: Floats, *, rise: float = 1.5) -> float | None:
    """Return a tenth of the rate at which the loss has risen to ``rise`` times its start; None if it never does.

    It asks what the weights bear, not where they learn fastest, so it has an answer also where a head that has learned
    all that its features give leaves the loss no way down in a step or two at each rate.
    """
    if losses[0] <= 0:
        return None
    above = np.flatnonzero(np.asarray(losses, dtype=float) > rise * losses[0])
    return float(rates[int(above[0])]) / 10 if len(above) else None


SUGGESTIONS: dict[str, Callable[[Floats, Floats], float | None]] = {
    "steep": steep,
    "valley": valley,
    "slide": slide,
    "minimum": minimum,
    "divergence": divergence,
}


@dataclass(frozen=True)
class Suggestion:
    """A rate that a range test suggests.

    Attributes:
        lr: Of the mean curve.
        low: Lowest of the single curves.
        high: Highest of the single curves.
    """

    lr: float
    low: float
    high: float


def suggest(rates: Floats, curves: Sequence[Sequence[float]]) -> dict[str, Suggestion]:
    """Return what smoothed curves of several data orders suggest, by the name of the rule; a rule may find nothing.

    Args:
        rates: Rising, at least as long as the longest curve.
        curves: Smoothed losses, one curve for each data order.
    """
    mean, found = mean_curve(curves), {}
    for name, rule in SUGGESTIONS.items():
        lr = rule(rates[: len(mean)], mean)
        if lr is not None:
            each = [value for curve in curves if (value := rule(rates[: len(curve)], curve)) is not None]
            found[name] = Suggestion(lr, min([lr, *each]), max([lr, *each]))
    return found
