"""``lightning-recipes fit``: train what a recipe says, and keep all of it in the run's folder."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.recording.run_recorder import RunRecorder
from lightning_recipes.callbacks.recording.save_recipe import SaveRecipe
from lightning_recipes.callbacks.stop_on_signal import StopOnSignal
from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.console import print_stopped, print_summary
from lightning_recipes.cli.model_kind import model_kind
from lightning_recipes.cli.trainer_checks import refuse_endless
from lightning_recipes.engine.stop_signals import Stopped
from lightning_recipes.errors import UserError
from lightning_recipes.models.checkpoint_file import read_checkpoint
from lightning_recipes.run.reader import RunContents
from lightning_recipes.run.resume.folder import refuse_what_cannot_be
from lightning_recipes.run.resume.last_checkpoint import last_checkpoint, nothing_left

__all__ = ["Fit"]


class Fit(RecipeCommand):
    """Train; what a run keeps is said in :class:`~lightning_recipes.callbacks.recording.run_recorder.RunRecorder`."""

    name = "fit"
    needs = "--config RECIPE"
    used_most: ClassVar[tuple[str, ...]] = (
        "config", "run_dir", "ckpt_path", "seed_everything", "data.root", "data.image_size",
        "data.batch_size", "data.augment", "model.backbone", "model.pretrained", "model.lr",
        "model.optimizer", "model.schedule", "model.loss", "trainer.callbacks", "trainer.max_epochs",
        "trainer.accelerator", "trainer.devices", "trainer.precision", "trainer.fast_dev_run",
    )  # fmt: skip

    @override
    @classmethod
    def model_kind(cls, words: Sequence[str]) -> type[pl.LightningModule]:
        """Return the class that the recipe is of: what makes images trains by the same command."""
        return model_kind(words)

    @override
    def resolve(self) -> None:
        """Claim a folder, or go on in the one that is there; refuse a checkpoint that no training can go on from."""
        self.refuse_nulls()
        own = self.config
        resume = own.ckpt_path == "last"
        self.run_folder = self.claim_run_folder(resume=resume)
        if resume:
            own.ckpt_path = _checkpoint_to_go_on_from(self.run_folder)
        if own.ckpt_path is None:
            return
        self.refuse_missing_checkpoint()
        if "optimizer_states" not in read_checkpoint(own.ckpt_path):
            raise UserError(
                f"ckpt_path: '{own.ckpt_path}' is a finished model, not a point to go on from; give "
                "last.ckpt, or begin from it by --model.pretrained"
            )
        refuse_what_cannot_be(Path(own.ckpt_path), self.recipe_text())

    def run(self, ckpt_path: str | None = None, weights_only: bool | None = None) -> None:
        """Train, and say what was reached, or how a run that was interrupted goes on.

        Args:
            ckpt_path: Checkpoint to go on from, or last for the run's own.
            weights_only: Whether to refuse a checkpoint that holds more than plain values (default: yes, as PyTorch).
        """
        trainer, stop = self._recorded_trainer(), StopOnSignal(self.signals)
        trainer.callbacks.insert(0, stop)  # type: ignore[attr-defined]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, LastCheckpoint):
                callback.asked_for = lambda: bool(stop.stopping)
        try:
            trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=ckpt_path, weights_only=weights_only)
        except Stopped as stopped:
            if trainer.strategy.launcher is not None and not stopped.together:
                trainer.strategy.launcher.kill(signal.SIGKILL)  # they would wait for this process
            if trainer.is_global_zero:
                print_stopped(self.run_folder, stopped.signal.name)
            raise
        if trainer.is_global_zero:
            self._say_what_was_reached(trainer, went_on=ckpt_path is not None, trained=stop.trained)

    def _say_what_was_reached(self, trainer: pl.Trainer, *, went_on: bool, trained: bool) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            print("fast_dev_run: the recipe works from end to end; nothing was written")
            return
        print_summary(self.run_folder)
        if went_on and not trained and RunContents(self.run_folder).summary["finished"]:
            print(nothing_left(trainer.current_epoch))

    def _recorded_trainer(self) -> pl.Trainer:
        """Return the trainer, with all that records the run."""
        made, chosen = self.made, self.made.trainer
        callbacks = self.callbacks()
        if chosen.barebones:
            raise UserError("trainer.barebones: a run keeps logs, checkpoints and figures; leave it out")
        refuse_endless(callbacks, chosen)
        recorder = RunRecorder(
            str(self.run_folder),
            made.recipe,
            best_checkpoint=made.best_checkpoint,
            last_checkpoint=made.last_checkpoint,
            errors=made.errors,
            gradcam=made.gradcam,
            wandb=made.wandb,
            claim=False,  # this command has it
        )
        loggers = recorder.loggers(_own_loggers(chosen.logger))
        tracked = chosen.logger in (None, True) or any(isinstance(one, WandbLogger) for one in loggers)
        callbacks = recorder.callbacks(callbacks, checkpoints=chosen.enable_checkpointing is not False, tracked=tracked)
        recipe = SaveRecipe(self.run_folder, self.recipe_text(), self.config.ckpt_path)
        return self.make_trainer([*callbacks, recipe], logger=loggers)


def _own_loggers(chosen: Any) -> list[Any]:
    """Return the loggers that a recipe names; true, false and null are none."""
    if chosen is None or isinstance(chosen, bool):
        return []
    return chosen if isinstance(chosen, list) else [chosen]


def _checkpoint_to_go_on_from(folder: Path) -> str | None:
    """Return the run's last checkpoint that can be used, and say on the first process what is done."""
    path, said = last_checkpoint(folder)
    if getattr(rank_zero_only, "rank", 0) == 0:
        print(*said, sep="\n", flush=True)
    return None if path is None else str(path)
