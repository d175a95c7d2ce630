"""Schedules that rise again: warm restarts, one-cycle and the triangles; and where their cycles end."""

import math

from lightning_recipes.schedules.checks import require
from lightning_recipes.schedules.progress import Progress

__all__ = [
    "cycle_lengths",
    "exp_range",
    "one_cycle",
    "one_cycle_momentum",
    "restart_lengths",
    "triangle_lengths",
    "triangular",
    "triangular2",
    "warm_restarts",
]


def cycle_lengths(steps: int, steps_per_epoch: int, *, cycle_epochs: float, cycle_mult: float) -> list[int]:
    """Return the optimizer steps of each cycle that begins within ``steps``; the last one may reach beyond them.

    Cycle i has ``cycle_epochs * cycle_mult ** i`` epochs, rounded to whole steps, at least one.

    Example:
        >>> cycle_lengths(28, 4, cycle_epochs=1, cycle_mult=2)
        [4, 8, 16]
    """
    _require_cycles(cycle_epochs, cycle_mult)
    lengths: list[int] = []
    done, epochs = 0, cycle_epochs
    while done < steps:
        lengths.append(max(1, round(epochs * steps_per_epoch)))
        done += lengths[-1]
        epochs *= cycle_mult
    return lengths


def restart_lengths(
    steps: int, steps_per_epoch: int, *, cycle_epochs: float = 1.0, cycle_mult: float = 2.0
) -> list[int]:
    """Return :func:`cycle_lengths` with the defaults of :func:`warm_restarts`."""
    return cycle_lengths(steps, steps_per_epoch, cycle_epochs=cycle_epochs, cycle_mult=cycle_mult)


def triangle_lengths(steps: int, steps_per_epoch: int, *, cycle_epochs: float = 4.0) -> list[int]:
    """Return :func:`cycle_lengths` with the defaults of :func:`triangular`."""
    return cycle_lengths(steps, steps_per_epoch, cycle_epochs=cycle_epochs, cycle_mult=1.0)


def _require_cycles(cycle_epochs: float, cycle_mult: float) -> None:
    require(0 < cycle_epochs < math.inf, "cycle_epochs", cycle_epochs, "a number of epochs > 0")
    require(1 <= cycle_mult < math.inf, "cycle_mult", cycle_mult, "a factor >= 1")


def _place(progress: Progress, cycle_epochs: float, cycle_mult: float) -> tuple[int, int, int]:
    """Return which cycle a step is in, the steps done in that cycle, and its length in steps."""
    _require_cycles(cycle_epochs, cycle_mult)
    if cycle_mult == 1:
        length = max(1, round(cycle_epochs * progress.steps_per_epoch))
        return progress.step // length, progress.step % length, length
    # In integers, from the front: a closed form by logarithms misses restarts by a rounding error.
    lengths = cycle_lengths(
        progress.step + 1, progress.steps_per_epoch, cycle_epochs=cycle_epochs, cycle_mult=cycle_mult
    )
    return len(lengths) - 1, progress.step - sum(lengths[:-1]), lengths[-1]


def warm_restarts(
    progress: Progress,
    *,
    cycle_epochs: float = 1.0,
    cycle_mult: float = 2.0,
    cycle_decay: float = 1.0,
    end: float = 0.0,
) -> float:
    """Fall along half a cosine in cycles, each of which starts at the top again (SGDR), changing at every batch.

    Cycle i falls from ``cycle_decay ** i`` to ``end`` over ``cycle_epochs * cycle_mult ** i`` epochs.

    Source: Loshchilov and Hutter (2017), "SGDR", equation 5; the curve is that of torch's
    ``CosineAnnealingWarmRestarts``, with ``cycle_decay`` that of timm's ``CosineLRScheduler``.

    Args:
        progress: Where the stage stands.
        cycle_epochs: Epochs of the first cycle, > 0. A stage of whole cycles ends at its lowest rate: 1, 3, 7 or 15
            times ``cycle_epochs`` for a ``cycle_mult`` of 2.
        cycle_mult: How much longer each cycle is than the one before, >= 1.
        cycle_decay: How much lower each cycle starts than the one before, in (0, 1].
        end: Factor that a cycle falls to, in [0, 1].
    """
    require(0 < cycle_decay <= 1, "cycle_decay", cycle_decay, "a factor in (0, 1]")
    require(0 <= end <= 1, "end", end, "a factor in [0, 1]")
    number, done, length = _place(progress, cycle_epochs, cycle_mult)
    top = cycle_decay**number
    return float(end + (top - end) * (1 + math.cos(math.pi * done / length)) / 2)


def _one_cycle_share(progress: Progress, warmup: float) -> tuple[bool, float]:
    """Return whether the rate still rises, and which share of the rise or the fall is done.

    As in torch, the last step itself sits at the end of the curve, hence the minus ones.
    """
    require(0 <= warmup < 1, "warmup", warmup, "a share in [0, 1)")
    peak = warmup * progress.steps - 1
    step, end = min(progress.step, progress.steps - 1), progress.steps - 1
    if step <= peak:
        return True, step / peak if peak > 0 else 1.0
    return False, (step - peak) / (end - peak) if end > peak else 1.0


def _half_cosine(start: float, stop: float, share: float) -> float:
    return stop + (start - stop) * (1 + math.cos(math.pi * share)) / 2


def one_cycle(progress: Progress, *, warmup: float = 0.3, start_div: float = 25.0, end_div: float = 1e4) -> float:
    """Rise from ``1 / start_div`` to 1, then fall to ``1 / (start_div * end_div)``, both along half a cosine.

    Momentum goes the other way round, see :func:`one_cycle_momentum`.

    Source: Smith and Topin (2018), "Super-Convergence"; the curve and its defaults are those of torch's ``OneCycleLR``.

    Args:
        progress: Where the stage stands.
        warmup: Share of the stage's steps in which the rate rises, in [0, 1).
        start_div: What the base rate is divided by at the first step, >= 1.
        end_div: What the first step's rate is divided by at the last step, >= 1.
    """
    require(1 <= start_div < math.inf, "start_div", start_div, "a number >= 1")
    require(1 <= end_div < math.inf, "end_div", end_div, "a number >= 1")
    rises, share = _one_cycle_share(progress, warmup)
    low, last = 1 / start_div, 1 / (start_div * end_div)
    return _half_cosine(low, 1.0, share) if rises else _half_cosine(1.0, last, share)


def one_cycle_momentum(
    progress: Progress, *, warmup: float = 0.3, momentum_low: float | None = 0.85, momentum_high: float | None = 0.95
) -> float | None:
    """Fall from ``momentum_high`` to ``momentum_low`` while the rate rises, and rise back while it falls.

    Source: Smith (2018), "A disciplined approach to neural network hyper-parameters", section 4.2; defaults of torch.

    Args:
        progress: Where the stage stands.
        warmup: As in :func:`one_cycle`.
        momentum_low: Momentum (of Adam: beta1) at the highest rate, in [0, 1); null leaves the optimizer's alone.
        momentum_high: Momentum at the lowest rates, in [0, 1); null likewise.
    """
    if momentum_low is None or momentum_high is None:
        return None
    require(0 <= momentum_low < 1, "momentum_low", momentum_low, "a momentum in [0, 1)")
    require(momentum_low <= momentum_high < 1, "momentum_high", momentum_high, "a momentum in [momentum_low, 1)")
    rises, share = _one_cycle_share(progress, warmup)
    return _half_cosine(momentum_high, momentum_low, share if rises else 1 - share)


def _triangle(progress: Progress, cycle_epochs: float) -> tuple[int, float]:
    """Return which cycle a step is in, and how high the triangle is there, in [0, 1]."""
    number, done, length = _place(progress, cycle_epochs, 1)
    return number, 1 - abs(2 * done / length - 1)


def triangular(progress: Progress, *, cycle_epochs: float = 4.0, low: float = 0.1) -> float:
    """Rise from ``low`` to 1 in a straight line and fall back, again and again.

    Source: Smith (2015), "Cyclical Learning Rates", section 3.1; the curve is that of torch's ``CyclicLR``.

    Args:
        progress: Where the stage stands.
        cycle_epochs: Epochs of one rise and fall, > 0; the paper advises 4 to 20 (a step size of 2 to 10 epochs).
        low: Factor at the bottom, in [0, 1]. The base rate is the top.
    """
    require(0 <= low <= 1, "low", low, "a factor in [0, 1]")
    _, height = _triangle(progress, cycle_epochs)
    return low + (1 - low) * height


def triangular2(progress: Progress, *, cycle_epochs: float = 4.0, low: float = 0.1) -> float:
    """Like :func:`triangular`, with half the height in each cycle.

    Args:
        progress: Where the stage stands.
        cycle_epochs: Epochs of one rise and fall, > 0.
        low: Factor at the bottom, in [0, 1].
    """
    require(0 <= low <= 1, "low", low, "a factor in [0, 1]")
    number, height = _triangle(progress, cycle_epochs)
    return float(low + (1 - low) * height / 2**number)


def exp_range(progress: Progress, *, cycle_epochs: float = 4.0, low: float = 0.1, gamma: float = 0.95) -> float:
    """Like :func:`triangular`, with a height of ``gamma ** n`` at epoch n.

    Args:
        progress: Where the stage stands.
        cycle_epochs: Epochs of one rise and fall, > 0.
        low: Factor at the bottom, in [0, 1].
        gamma: Factor of the height an epoch, in (0, 1]; the paper's is one of the g-th power an iteration.
    """
    require(0 <= low <= 1, "low", low, "a factor in [0, 1]")
    require(0 < gamma <= 1, "gamma", gamma, "a factor in (0, 1]")
    _, height = _triangle(progress, cycle_epochs)
    return float(low + (1 - low) * height * gamma**progress.epoch)
