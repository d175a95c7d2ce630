"""What ended a fit, in a word."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Timer

from lightning_recipes.stages.plan import Plan

__all__ = ["out_of_steps", "what_stopped"]


def out_of_steps(trainer: pl.Trainer) -> bool:
    """Tell whether ``max_steps`` is reached."""
    return 0 < trainer.max_steps <= trainer.global_step


def what_stopped(trainer: pl.Trainer, module: Any, exception: BaseException | None = None) -> str | None:
    """Return what stopped a fit before its plan was over; None where nothing did.

    ``signal`` (Ctrl-C, or a request to end), ``exception``, ``max_time``, ``max_steps``, ``max_epochs``, or
    ``callback`` (one that is not ours, such as Lightning's early stopping). A stage or run that a callback of ours has
    ended is over by the plan's own rule.

    Args:
        trainer: At the end of the fit, or in ``on_exception``.
        module: With its plan, if it has one.
        exception: What was raised, if something was.
    """
    if exception is not None:
        is_error = isinstance(exception, Exception) and type(exception).__name__ != "SIGTERMException"
        return "exception" if is_error else "signal"
    plan, most, done = getattr(module, "plan", None), trainer.max_epochs, trainer.current_epoch
    planned = plan.epochs if isinstance(plan, Plan) else most
    ended = any(kind == "stop" for kind, _ in getattr(module, "plan_changes", []))
    if ended or (planned is not None and 0 <= planned <= done):
        return None
    if out_of_steps(trainer):
        # Without epochs to count to, so many steps are the plan.
        return None if planned is None or planned < 0 else "max_steps"
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    if any((left := timer.time_remaining()) is not None and left <= 0 for timer in timers):
        return "max_time"
    if most is not None and 0 <= most <= done:
        return "max_epochs"
    return "callback"
