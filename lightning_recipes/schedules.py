"""Schedules: pure functions from progress to a factor on every group's learning rate.

A schedule keeps no state, so a resumed run is on the curve to the bit, and it multiplies, so discriminative learning
rates stay in proportion.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.specs import Spec, check_arguments, import_object, parse_spec

__all__ = ["SCHEDULES", "Progress", "Schedule", "constant", "cosine", "one_cycle", "resolve_schedule"]


@dataclass(frozen=True)
class Progress:
    """Where a stage stands.

    Attributes:
        step: Optimizer steps done in this stage, from 0.
        steps: Optimizer steps of the whole stage, >= 1.
        steps_per_epoch: Optimizer steps of one epoch, >= 1.
    """

    step: int
    steps: int
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """Share of the stage that is done, 0 at its first step, 1 just after its last."""
        return min(self.step / self.steps, 1.0)


Schedule = Callable[[Progress], float]


def constant(progress: Progress) -> float:
    """Keep the base rate."""
    return 1.0


def cosine(progress: Progress, *, end: float = 0.0) -> float:
    """Fall along half a cosine, ``end + (1 - end) (1 + cos(pi t)) / 2`` with t the share of the stage that is done.

    Source: Loshchilov and Hutter (2017), "SGDR", equation 5, one cycle.

    Args:
        progress: Where the stage stands.
        end: Factor that is reached just after the last step, in [0, 1].
    """
    return end + (1 - end) * (1 + math.cos(math.pi * progress.fraction)) / 2


def one_cycle(progress: Progress, *, warmup: float = 0.3, start_div: float = 25.0, end_div: float = 1e4) -> float:
    """Rise from ``1 / start_div`` to 1, then fall to ``1 / (start_div * end_div)``, both along half a cosine.

    Source: Smith and Topin (2018), "Super-Convergence"; the curve and its defaults are those of torch's ``OneCycleLR``.

    Args:
        progress: Where the stage stands.
        warmup: Share of the stage's steps in which the rate rises, in [0, 1).
        start_div: What the base rate is divided by at the first step.
        end_div: What the first step's rate is divided by at the last step.
    """
    low, last = 1 / start_div, 1 / (start_div * end_div)
    # As in torch, the last step itself sits at the end of the curve, hence the minus ones.
    peak = warmup * progress.steps - 1
    step, end = min(progress.step, progress.steps - 1), progress.steps - 1
    if step <= peak:
        start, stop, share = low, 1.0, step / peak if peak > 0 else 1.0
    else:
        start, stop, share = 1.0, last, (step - peak) / (end - peak) if end > peak else 1.0
    return stop + (start - stop) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[..., float]] = {"constant": constant, "cosine": cosine, "one_cycle": one_cycle}


def resolve_schedule(key: str, spec: Spec) -> Schedule:
    """Return the schedule that a recipe names: one of :data:`SCHEDULES` or the import path of a user's function.

    Args:
        key: The recipe's key, for the error.
        spec: ``"cosine"`` or ``{"name": "one_cycle", "warmup": 0.2}``.

    Raises:
        UserError: Unknown name or argument.
    """
    name, arguments = parse_spec(key, spec)
    if name not in SCHEDULES and "." not in name:
        raise UserError(f"{key}: '{name}' is not a schedule ({', '.join(SCHEDULES)}){did_you_mean(name, SCHEDULES)}")
    function = SCHEDULES.get(name) or import_object(key, name)
    check_arguments(key, function, arguments)
    return functools.partial(function, **arguments)
