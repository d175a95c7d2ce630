"""From what a recipe says to a schedule: a curve by name or import path, with its arguments and a warm-up before it."""

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightning_recipes.components import Spec, check_arguments, import_object, parse_spec, taken_by
from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.schedules import cycles, decays
from lightning_recipes.schedules.checks import require
from lightning_recipes.schedules.progress import Progress

__all__ = ["SCHEDULES", "Curve", "Schedule", "resolve_schedule"]


class Curve(NamedTuple):
    """The functions that a name stands for; arguments go to each that takes them.

    Attributes:
        factor: From progress to the factor on the base rates.
        momentum: From progress to the momentum, or None to leave it.
        cycle_lengths: From steps and steps per epoch to the steps of each cycle (default: the stage is one cycle).
    """

    factor: Callable[..., float]
    momentum: Callable[..., float | None] | None = None
    cycle_lengths: Callable[..., list[int]] | None = None


SCHEDULES: dict[str, Curve] = {
    "constant": Curve(decays.constant),
    "step": Curve(decays.step_decay),
    "multistep": Curve(decays.multistep),
    "time_based": Curve(decays.time_based),
    "exponential": Curve(decays.exponential),
    "one_over_k": Curve(decays.one_over_k),
    "polynomial": Curve(decays.polynomial),
    "cosine": Curve(decays.cosine),
    "flat_cosine": Curve(decays.flat_cosine),
    "warm_restarts": Curve(cycles.warm_restarts, cycle_lengths=cycles.restart_lengths),
    "one_cycle": Curve(cycles.one_cycle, momentum=cycles.one_cycle_momentum),
    "triangular": Curve(cycles.triangular, cycle_lengths=cycles.triangle_lengths),
    "triangular2": Curve(cycles.triangular2, cycle_lengths=cycles.triangle_lengths),
    "exp_range": Curve(cycles.exp_range, cycle_lengths=cycles.triangle_lengths),
}


@dataclass(frozen=True)
class Schedule:
    """A schedule with its arguments, as it runs over a stage.

    Attributes:
        curve: The functions, with their arguments bound.
        warmup_epochs: Epochs before the curve begins, in which the factor rises in a straight line to where it begins.
        warmup_start: Factor at the first step of the warm-up.
    """

    curve: Curve
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0

    def __call__(self, progress: Progress) -> float:
        """Return the factor on every group's base rate."""
        warmup, after = self._split(progress)
        first = float(self.curve.factor(after))
        if progress.step < warmup:
            return self.warmup_start + (first - self.warmup_start) * progress.step / warmup
        return first

    def momentum(self, progress: Progress) -> float | None:
        """Return the momentum, or None where the schedule leaves the optimizer's alone."""
        return None if self.curve.momentum is None else self.curve.momentum(self._split(progress)[1])

    def cycle_ends(self, steps: int, steps_per_epoch: int) -> list[int]:
        """Return after how many steps each whole cycle of a stage is over; without cycles, the stage is one."""
        if self.curve.cycle_lengths is None:
            return [steps]
        done, after = self._split(Progress(0, steps, steps_per_epoch))
        ends = []
        for length in self.curve.cycle_lengths(after.steps, steps_per_epoch):
            done += length
            if done <= steps:
                ends.append(done)
        return ends

    def _split(self, progress: Progress) -> tuple[int, Progress]:
        """Return the steps of the warm-up, and where the curve after it stands."""
        warmup = min(round(self.warmup_epochs * progress.steps_per_epoch), progress.steps - 1)
        if not warmup:
            return 0, progress
        return warmup, Progress(max(0, progress.step - warmup), progress.steps - warmup, progress.steps_per_epoch)


def resolve_schedule(key: str, spec: Spec) -> Schedule:
    """Return the schedule that a recipe names: one of :data:`SCHEDULES`, or a user's own by its import path.

    A user's is a function of progress, or a :class:`Curve` of it with momentum and cycles.

    Args:
        key: The recipe's key, for the error.
        spec: ``"cosine"`` or ``{"name": "one_cycle", "warmup": 0.2}``. Every schedule also takes ``warmup_epochs``
            (default 0) and ``warmup_start`` (default 0), a warm-up in a straight line before it.

    Raises:
        UserError: Unknown name or argument, or a value that the schedule cannot work with.
    """
    name, arguments = parse_spec(key, spec)
    if name not in SCHEDULES and "." not in name:
        raise UserError(f"{key}: '{name}' is not a schedule ({', '.join(SCHEDULES)}){did_you_mean(name, SCHEDULES)}")
    found = SCHEDULES.get(name) or import_object(key, name)
    curve = found if isinstance(found, Curve) else Curve(found)
    if not callable(curve.factor):
        raise UserError(f"{key}: '{name}' cannot be called; name a function of lightning_recipes' Progress")
    before = {k: arguments.pop(k) for k in ("warmup_epochs", "warmup_start") if k in arguments}
    for argument in arguments:
        if not any(function is not None and argument in _names(function) for function in curve):
            check_arguments(key, curve.factor, {argument: None})
    bound = Curve(*(_bind(function, arguments) for function in curve))
    schedule = Schedule(bound, **before)
    try:
        _try(schedule)
    except ValueError as error:
        raise UserError(f"{key}.{error}") from error
    except TypeError as error:
        raise UserError(f"{key}: {name}: {error}") from error
    return schedule


def _names(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def _bind(function: Callable[..., Any] | None, arguments: dict[str, Any]) -> Any:
    if function is None:
        return None
    return functools.partial(function, **taken_by(function, arguments))


def _try(schedule: Schedule) -> None:
    """Run over a small stage, so that a value that cannot work is found before anything is trained."""
    require(0 <= schedule.warmup_epochs < math.inf, "warmup_epochs", schedule.warmup_epochs, "a number of epochs >= 0")
    require(0 <= schedule.warmup_start <= 1, "warmup_start", schedule.warmup_start, "a factor in [0, 1]")
    for step in range(20):
        progress = Progress(step, 20, 5)
        factor = schedule(progress)
        require(0 <= factor < math.inf, f"factor at step {step} of 20", factor, "a number >= 0")
        schedule.momentum(progress)
    schedule.cycle_ends(20, 5)
