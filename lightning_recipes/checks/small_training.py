"""Trainings of a few steps, of which nothing stays."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl

from lightning_recipes.data.batch import batch_length, split_batch
from lightning_recipes.engine.trial_steps import no_trace, rehearse_step

__all__ = ["first_part", "trained"]


def first_part(batch: Any, images: int) -> Any:
    """Return at most so many images of a batch."""
    return split_batch(batch, max(1, math.ceil(batch_length(batch) / images)))[0]


@contextmanager
def trained(
    trainer: pl.Trainer, module: pl.LightningModule, batches: Iterable[Any], *, factor: float = 1.0
) -> Iterator[Iterator[int]]:
    """Have a training inside that goes on by a step with each number that is asked for, and of which nothing stays."""
    with no_trace(trainer, module) as optimizer, _as_they_are(module):
        for group in optimizer.param_groups:
            group["lr"] = factor * group.get("initial_lr", group["lr"])

        def steps() -> Iterator[int]:
            for step, batch in enumerate(batches):
                rehearse_step(trainer, optimizer, [batch], key=("check", "learning", step))
                yield step

        yield steps()


@contextmanager
def _as_they_are(module: Any) -> Iterator[None]:
    """Train on batches that are not mixed: a mixed one cannot be learnt by heart."""
    transforms = module.additions.batch_transforms
    module.additions.batch_transforms = {}
    try:
        yield
    finally:
        module.additions.batch_transforms = transforms
