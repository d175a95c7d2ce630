"""Schedules that only fall: each maps progress to a factor on every group's base rate.

n counts epochs and has a fraction inside an epoch; t is the share of the stage that is done.
"""

import math
from collections.abc import Sequence

from lightning_recipes.schedules.checks import require
from lightning_recipes.schedules.progress import Progress

__all__ = [
    "constant",
    "cosine",
    "exponential",
    "flat_cosine",
    "multistep",
    "one_over_k",
    "polynomial",
    "step_decay",
    "time_based",
]


def constant(progress: Progress) -> float:
    """Keep the base rate."""
    return 1.0


def step_decay(progress: Progress, *, gamma: float = 0.1, every: float = 30.0) -> float:
    """Fall by one factor every so many epochs: ``gamma ** floor(n / every)``.

    Source: He et al. (2016), "Deep Residual Learning", section 4.2; the curve is that of torch's ``StepLR``.

    Args:
        progress: Where the stage stands.
        gamma: Factor of each fall, in (0, 1].
        every: Epochs between two falls, > 0; not all of them need be whole.
    """
    require(0 < gamma <= 1, "gamma", gamma, "a factor in (0, 1]")
    require(0 < every < math.inf, "every", every, "a number of epochs > 0")
    # Counted in steps: n / every in floats is below a whole number where it should be on it.
    return float(gamma ** (progress.step // max(1, round(every * progress.steps_per_epoch))))


def multistep(progress: Progress, *, milestones: Sequence[float], gamma: float = 0.1) -> float:
    """Fall by one factor at each milestone: ``gamma ** (number of milestones that are reached)``.

    The curve is that of torch's ``MultiStepLR``.

    Args:
        progress: Where the stage stands.
        milestones: Epochs of the stage after which the rate falls, each > 0.
        gamma: Factor of each fall, in (0, 1].
    """
    require(0 < gamma <= 1, "gamma", gamma, "a factor in (0, 1]")
    require(all(m > 0 for m in milestones), "milestones", list(milestones), "a list of epochs > 0")
    reached = sum(progress.step >= round(m * progress.steps_per_epoch) for m in milestones)
    return float(gamma**reached)


def time_based(progress: Progress, *, gamma: float = 0.1) -> float:
    """Fall as ``1 / (1 + gamma n)``.

    Source: Robbins and Monro (1951) for the shape; the ``decay`` of early Keras for the name.

    Args:
        progress: Where the stage stands.
        gamma: Decay an epoch, >= 0.
    """
    require(0 <= gamma < math.inf, "gamma", gamma, "a number >= 0")
    return 1 / (1 + gamma * progress.epoch)


def exponential(progress: Progress, *, gamma: float = 0.95) -> float:
    """Fall as ``gamma ** n``; at the ends of epochs this is torch's ``ExponentialLR``.

    Args:
        progress: Where the stage stands.
        gamma: Factor an epoch, in (0, 1].
    """
    require(0 < gamma <= 1, "gamma", gamma, "a factor in (0, 1]")
    return float(gamma**progress.epoch)


def one_over_k(progress: Progress, *, power: float = 1.0) -> float:
    """Fall as ``1 / k ** power`` with k = n + 1, so the first epoch begins at the base rate.

    Source: Robbins and Monro (1951), "A Stochastic Approximation Method": the rates' sum diverges, the sum of their
    squares does not.

    Args:
        progress: Where the stage stands.
        power: 1 for 1/k, 0.5 for the slower 1/sqrt(k); > 0.
    """
    require(0 < power < math.inf, "power", power, "a number > 0")
    return float((1 + progress.epoch) ** -power)


def polynomial(progress: Progress, *, power: float = 1.0, end: float = 0.0) -> float:
    """Fall as ``end + (1 - end) (1 - t) ** power``; power 1 is the straight line. With end 0: torch's ``PolynomialLR``.

    Args:
        progress: Where the stage stands.
        power: > 0.
        end: Factor that is reached just after the last step, in [0, 1].
    """
    require(0 < power < math.inf, "power", power, "a number > 0")
    require(0 <= end <= 1, "end", end, "a factor in [0, 1]")
    return float(end + (1 - end) * (1 - progress.fraction) ** power)


def cosine(progress: Progress, *, end: float = 0.0) -> float:
    """Fall along half a cosine, ``end + (1 - end) (1 + cos(pi t)) / 2``.

    Source: Loshchilov and Hutter (2017), "SGDR", equation 5, one cycle.

    Args:
        progress: Where the stage stands.
        end: Factor that is reached just after the last step, in [0, 1].
    """
    require(0 <= end <= 1, "end", end, "a factor in [0, 1]")
    return end + (1 - end) * (1 + math.cos(math.pi * progress.fraction)) / 2


def flat_cosine(progress: Progress, *, flat: float = 0.75, end: float = 0.0) -> float:
    """Keep the base rate for a share of the stage, then fall along half a cosine.

    Source: fastai's ``fit_flat_cos``.

    Args:
        progress: Where the stage stands.
        flat: Share of the stage that keeps the base rate, in [0, 1).
        end: Factor that is reached just after the last step, in [0, 1].
    """
    require(0 <= flat < 1, "flat", flat, "a share in [0, 1)")
    require(0 <= end <= 1, "end", end, "a factor in [0, 1]")
    share = max(0.0, progress.fraction - flat) / (1 - flat)
    return end + (1 - end) * (1 + math.cos(math.pi * share)) / 2
