"""What a trainer counts: optimizer steps of a plan, which are logged, where they end, and batches up to its limits."""

import math
from typing import Protocol

import lightning.pytorch as pl

from lightning_recipes.compat.lightning import batches_between_validations, batches_trained, make_train_loader
from lightning_recipes.components import Spec
from lightning_recipes.schedules.resolve import resolve_schedule
from lightning_recipes.stages.plan import Plan, Stage
from lightning_recipes.stages.timeline import Timeline

__all__ = ["count_plan", "epochs_to_train", "limited", "logs_this_step", "steps_per_epoch", "validates_after"]


class CountsBatches(Protocol):
    """A data module that knows how many batches an epoch of each stage has."""

    def train_batches(self, position: int = 0) -> int:
        """Return the training batches of a process in one epoch of the stage at ``position``."""
        ...


def count_plan(plan: Plan | None, schedule: Spec, trainer: pl.Trainer, data: CountsBatches | None) -> Timeline:
    """Return the timeline of a run.

    Args:
        plan: The stages; without them the whole run is one, over ``max_epochs`` or ``max_steps``.
        schedule: Of the stages that name none.
        trainer: Says how many batches of an epoch are used, and how many make a step.
        data: Says how many batches an epoch of each stage has; None: all stages have those of the loader.
    """
    if plan is None:
        per_epoch, epochs, most = steps_per_epoch(0, trainer, data), trainer.max_epochs, trainer.max_steps
        if epochs is None or epochs < 0:  # no limit in epochs; without one in steps there is no end to count to
            epochs = math.ceil(most / per_epoch) if most > 0 else 2**31 // per_epoch
        whole = Plan((Stage("all", epochs=max(1, epochs)),))
        curve = resolve_schedule("model.schedule", schedule)
        return Timeline(whole, [per_epoch], [curve], max_steps=most if most > 0 else None)
    curves = [
        resolve_schedule(f"stage '{stage.name}', schedule", schedule if stage.schedule is None else stage.schedule)
        for stage in plan.stages
    ]
    steps = [steps_per_epoch(position, trainer, data) for position in range(len(plan.stages))]
    return Timeline(plan, steps, curves)


def steps_per_epoch(position: int, trainer: pl.Trainer, data: CountsBatches | None) -> int:
    """Return the optimizer steps of one epoch of the stage at ``position``; arguments as above."""
    if data is None:
        make_train_loader(trainer)
        batches = trainer.num_training_batches
    else:
        batches = limited(data.train_batches(position), trainer.limit_train_batches)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def limited(batches: int, limit: float) -> int:
    """Return how many of so many batches a ``limit_..._batches`` leaves: a whole number is one of batches.

    Example:
        >>> limited(8, 3), limited(8, 0.5), limited(8, 1.0), limited(8, 1)
        (3, 4, 8, 1)
    """
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def logs_this_step(trainer: pl.Trainer) -> bool:
    """Return whether the trainer logs the optimizer step that is under way: every ``log_every_n_steps``, 0 for none."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # its logger connector sets it
    return every > 0 and (trainer.global_step + 1) % every == 0


def epochs_to_train(timeline: Timeline, trainer: pl.Trainer) -> int:
    """Return how many epochs are begun until the run ends: with its plan, or before by ``max_epochs`` or ``max_steps``.

    What ends it unforeseen, such as ``max_time`` or a plateau, is not counted before it does.
    """
    ends = [timeline.plan.epochs]
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        ends.append(trainer.max_epochs)
    if trainer.max_steps >= 0:
        ends.append(math.ceil(timeline.epoch_of(trainer.max_steps)))
    return min(ends)


def validates_after(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Tell whether a validation inside the epoch follows; a run that goes on from before it would leave it out."""
    every = batches_between_validations(trainer)
    if not trainer.enable_validation or every is None or math.isinf(every):
        return False
    whole_run = trainer.check_val_every_n_epoch is None
    number = batches_trained(trainer) if whole_run else batch_idx
    return bool((number + 1) % every == 0)
