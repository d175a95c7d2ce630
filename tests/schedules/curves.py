"""The outside truth for schedules: what a scheduler of torch or timm sets, step by step, for a base rate of 1."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from lightning_recipes.schedules.progress import Progress
from lightning_recipes.schedules.resolve import resolve_schedule

STEPS, PER_EPOCH = 40, 4


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)


def of_torch(make: Callable[[torch.optim.Optimizer], LRScheduler], *, key: str = "lr", every: int = 1) -> list[float]:
    """What torch sets before each of 40 steps; the scheduler moves after ``every`` steps."""
    optimizer = sgd()
    scheduler = make(optimizer)
    values = []
    for step in range(STEPS):
        values.append(float(optimizer.param_groups[0][key]))
        optimizer.step()
        if (step + 1) % every == 0 and step < STEPS - 1:
            scheduler.step()
    return values


def of_timm(make: Callable[[torch.optim.Optimizer], Any]) -> list[float]:
    """What timm sets before each of 40 updates."""
    optimizer = sgd()
    scheduler = make(optimizer)
    values = []
    for step in range(STEPS):
        scheduler.step_update(step)
        values.append(float(optimizer.param_groups[0]["lr"]))
    return values


def of_ours(spec: str | dict[str, Any], steps: int = STEPS, per_epoch: int = PER_EPOCH) -> list[float]:
    schedule = resolve_schedule("model.schedule", spec)
    return [schedule(Progress(step, steps, per_epoch)) for step in range(steps)]


def momentum_of_ours(spec: str | dict[str, Any]) -> list[float | None]:
    schedule = resolve_schedule("model.schedule", spec)
    return [schedule.momentum(Progress(step, STEPS, PER_EPOCH)) for step in range(STEPS)]
