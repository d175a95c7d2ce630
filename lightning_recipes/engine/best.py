"""The best epoch of a run: one object decides it, and everyone reads it here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning.pytorch as pl
import torch

__all__ = ["Best", "Judge", "best_of", "read_best"]


@dataclass(frozen=True)
class Best:
    """The best epoch of a run.

    Attributes:
        path: Its checkpoint, a finished model.
        epoch: Counted from 0.
        step: Optimizer steps before its validation.
        metrics: What its validation logged, by name.
        monitor: Which of them decided.
    """

    path: Path
    epoch: int
    step: int
    metrics: dict[str, float]
    monitor: str = "val_accuracy"


@runtime_checkable
class Judge(Protocol):
    """A callback that decides which epoch is the best."""

    @property
    def best(self) -> Best | None:
        """The best epoch so far."""
        ...


def best_of(trainer: pl.Trainer) -> Best | None:
    """Return the best epoch of a trainer's fit so far; None without a judge, or before its first validation."""
    judges = (c for c in trainer.checkpoint_callbacks if isinstance(c, Judge))
    return next((judge.best for judge in judges), None)


def read_best(path: Path, monitor: str) -> Best | None:
    """Return what a best checkpoint says of itself; None where there is none, or none that can be read.

    Args:
        path: Of the checkpoint.
        monitor: Metric that decides.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return Best(
            path, int(checkpoint["epoch"]), int(checkpoint["global_step"]), dict(checkpoint["metrics"]), monitor
        )
    except Exception:  # not there, cut short, or of before it said so: the next validation writes another
        return None
