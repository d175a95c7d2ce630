"""The last point of a run, from which it goes on to the bit."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from lightning_recipes.atomic_io import named_failures
from lightning_recipes.compat.lightning import begin_next_epoch
from lightning_recipes.engine.checkpoint_io import use_whole_checkpoints
from lightning_recipes.engine.run_end import out_of_steps
from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.models.checkpoint_file import damage_of
from lightning_recipes.stages.step_count import validates_after

__all__ = ["LastCheckpoint"]


class LastCheckpoint(Checkpoint):
    """Keep ``last.ckpt`` at the end of every epoch and, if asked for, inside it; the one before is ``previous.ckpt``.

    Where ``max_steps`` or ``max_time`` ends a run inside an epoch, at that step, so that a run that goes on trains the
    rest of the epoch.

    Never at an epoch's last batch: a run resumed from there would lose the hooks of the epoch's end and count its
    progress wrong, and the checkpoint of the epoch's end is a moment later anyway.

    List it after whatever keeps a state: a checkpoint holds the callbacks as they are when it is written.

    Args:
        every_n_train_steps: Also after so many optimizer steps (default: not).
        dirpath: Folder (default, and on the command line: ``checkpoints`` in the run's).
    """

    def __init__(self, every_n_train_steps: int | None = None, dirpath: str | None = None) -> None:
        right = every_n_train_steps is None or every_n_train_steps >= 1
        refuse_bad_values("LastCheckpoint", ("every_n_train_steps", every_n_train_steps, right, "a number >= 1"))
        self.every_n_train_steps, self.dirpath = every_n_train_steps, dirpath
        self._is_late = False
        self.asked_for: Callable[[], bool] = _never  # no lambda: a trainer that spawns its processes is pickled
        """Whether to save at the end of this batch, whatever its number; as where a signal asks to stop."""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let no checkpoint of the trainer be torn, whoever saves it."""
        use_whole_checkpoints(trainer)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the next epoch where a run with ``max_steps`` goes on from the end of one."""
        begin_next_epoch(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Write ``last.ckpt``; the one before is ``previous.ckpt`` from then on, so one of the two is always whole."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            path = os.path.join(self.dirpath or os.path.join(trainer.default_root_dir, "checkpoints"), "last.ckpt")
            if trainer.is_global_zero:
                _keep_as_previous(Path(path))
            trainer.save_checkpoint(path)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save inside an epoch, but neither at its last batch nor between the steps of an accumulation.

        Nor where a validation comes next, which a run that goes on from there would leave out: then a step later.
        """
        every = self.every_n_train_steps
        if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
            return
        ends = trainer.should_stop or out_of_steps(trainer)
        due = self._is_late or (every is not None and trainer.global_step % every == 0) or self.asked_for()
        self._is_late = due and not ends and validates_after(trainer, batch_idx)
        if (due or ends) and not self._is_late:
            self.save(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of the epoch; of one that was cut off, what there is was saved at its last step."""
        self._is_late = False
        if trainer.is_last_batch:
            self.save(trainer)


def _never() -> bool:
    return False


def _keep_as_previous(path: Path) -> None:
    """Give a checkpoint the name ``previous.ckpt`` too; one that is damaged must not replace a good one."""
    if not path.is_file() or damage_of(path, every_byte=False):
        return
    previous = path.with_name("previous.ckpt")
    link = path.with_name("previous.ckpt.tmp")
    with named_failures(previous):
        link.unlink(missing_ok=True)
        try:
            os.link(path, link)
        except OSError:  # a drive without hard links
            os.replace(path, previous)
        else:
            os.replace(link, previous)
            link.unlink(missing_ok=True)  # renaming a name of the same file does nothing
