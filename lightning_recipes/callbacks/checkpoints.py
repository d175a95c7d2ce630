"""The last point of a run, from which it goes on to the bit."""

import os
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from lightning_recipes.errors import UserError

__all__ = ["LastCheckpoint"]


class LastCheckpoint(Checkpoint):
    """Keep ``last.ckpt`` at the end of every epoch and, if asked for, inside it.

    Never at an epoch's last batch: a run resumed from there would lose the hooks of the epoch's end and count its
    progress wrong, and the checkpoint of the epoch's end is a moment later anyway.

    List it after whatever keeps a state: a checkpoint holds the callbacks as they are when it is written.

    Args:
        every_n_train_steps: Also after so many optimizer steps (default: not).
        dirpath: Folder (default, and on the command line: ``checkpoints`` in the run's).
    """

    def __init__(self, every_n_train_steps: int | None = None, dirpath: str | None = None) -> None:
        if every_n_train_steps is not None and not every_n_train_steps >= 1:
            raise UserError(f"LastCheckpoint.every_n_train_steps: {every_n_train_steps} is not a number >= 1")
        self.every_n_train_steps, self.dirpath = every_n_train_steps, dirpath

    def save(self, trainer: pl.Trainer) -> None:
        """Write ``last.ckpt``; the old one is replaced only when the new one is whole."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            folder = self.dirpath or os.path.join(trainer.default_root_dir, "checkpoints")
            trainer.save_checkpoint(os.path.join(folder, "last.ckpt"))

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save inside an epoch, but neither at its last batch nor between the steps of an accumulation."""
        every = self.every_n_train_steps
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if every and stepped and not trainer.is_last_batch and trainer.global_step % every == 0:
            self.save(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of the epoch."""
        self.save(trainer)
