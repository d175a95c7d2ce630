"""Names of Lightning that its documentation does not have."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl

# rich has no column of a progress bar's metrics; Lightning's is documented with the bar alone.
from lightning.pytorch.callbacks.progress.rich_progress import MetricsTextColumn, RichProgressBar
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy

# The documentation says that there is such a module, not what its functions do; torch has an error for CUDA alone.
from lightning.pytorch.trainer.states import RunningStage, TrainerStatus
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error
from typing_extensions import override

__all__ = [
    "ADDED_BY_LIGHTNING",
    "CLASS_PATH",
    "MetricsProgressBar",
    "MetricsTextColumn",
    "OpenWandbLogger",
    "Progress",
    "batch_under_way",
    "batches_between_validations",
    "batches_trained",
    "begin_next_epoch",
    "garbage_collection_cuda",
    "gradient_scaler",
    "is_oom_error",
    "is_running",
    "make_train_loader",
    "progress_in",
    "reload_train_loader",
    "set_max_epochs",
    "trainer_of",
    "validating",
    "wrap_again",
    "write_into",
]

CLASS_PATH = "_class_path"
ADDED_BY_LIGHTNING = (CLASS_PATH, "_instantiator")
"""Hyperparameters that ``LightningCLI`` adds to a module's own; they are in its checkpoints."""


def trainer_of(module: pl.LightningModule) -> pl.Trainer | None:
    """Return a module's trainer; ``module.trainer`` is an error where it has none."""
    return module._trainer


def is_running(trainer: pl.Trainer) -> bool:
    """Tell whether a trainer fits, validates, tests or predicts at the moment."""
    return trainer.state.status == TrainerStatus.RUNNING


# The loop: it has the only count of batches, and a trainer's number of epochs cannot be set elsewhere.


def batch_under_way(trainer: pl.Trainer) -> int:
    """Return the number of the epoch's training batch that is under way, or was last; -1 before the first."""
    return int(trainer.fit_loop.batch_idx)


def batches_trained(trainer: pl.Trainer) -> int:
    """Return the number of the run's training batch that is under way."""
    return int(trainer.fit_loop.epoch_loop.total_batch_idx)


def batches_between_validations(trainer: pl.Trainer) -> float | None:
    """Return what ``val_check_interval`` comes to in batches: inf for epochs, None before the loader is made."""
    return trainer.val_check_batch


def set_max_epochs(trainer: pl.Trainer, epochs: int) -> None:
    """Let a trainer that fits end after so many epochs; ``Trainer.max_epochs`` is read alone."""
    trainer.fit_loop.max_epochs = epochs


def write_into(trainer: pl.Trainer, folder: str) -> None:
    """Point a trainer's ``default_root_dir`` at a folder, for all that is still to ask for it; it can be read alone."""
    trainer._default_root_dir = folder  # type: ignore[attr-defined]


def make_train_loader(trainer: pl.Trainer) -> None:
    """Make the training loader, which ``Trainer.num_training_batches`` needs; Lightning does so after the optimizer."""
    trainer.fit_loop.setup_data()


def reload_train_loader(trainer: pl.Trainer) -> None:
    """Ask for the training loader at each epoch; ``Trainer`` takes this when it is made, before a plan is known."""
    trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]


def begin_next_epoch(trainer: pl.Trainer) -> None:
    """Begin the next epoch where a run with ``max_steps`` goes on from the end of one.

    Lightning takes every run with ``max_steps`` for one that was stopped inside an epoch; at an epoch's end it then
    runs an empty epoch, counts it, and ends an epoch short of its plan.
    """
    loop = trainer.fit_loop
    if loop.restarted_on_epoch_end:
        steps, loop.epoch_loop.max_steps = loop.epoch_loop.max_steps, -1  # without it Lightning does it right
        loop.restarting = False
        loop.update_restart_stage()
        loop.epoch_loop.max_steps = steps
        loop.epoch_progress.increment_completed()


@dataclass(frozen=True)
class Progress:
    """How far a fit had come when a checkpoint was written.

    Attributes:
        epochs: That were over.
        inside: Whether another one had begun.
        batches: Of the epoch that had begun last.
    """

    epochs: int
    inside: bool
    batches: int


def progress_in(checkpoint: Mapping[str, Any]) -> Progress:
    """Return how far the fit of a checkpoint had come; its ``epoch`` says less.

    Raises:
        KeyError: The checkpoint is none of a fit.
    """
    loops = checkpoint["loops"]["fit_loop"]
    epochs, batches = loops["epoch_progress"]["current"], loops["epoch_loop.batch_progress"]["current"]
    processed = int(epochs["processed"])
    return Progress(processed, int(epochs["ready"]) > processed, int(batches["processed"]))


# What a step needs.


def gradient_scaler(trainer: pl.Trainer) -> Any | None:
    """Return what scales a loss under FP16, such as ``torch.amp.GradScaler``; None without it.

    ``MixedPrecision`` takes a scaler and does not say where it keeps it.
    """
    return getattr(trainer.precision_plugin, "scaler", None)


@contextmanager
def validating(trainer: pl.Trainer) -> Iterator[None]:
    """Have the trainer say inside that it validates; its documentation lets one read the stage alone.

    ``Trainer.validate`` inside a fit would take the fit's place.
    """
    stage = trainer.state.stage
    trainer.state.stage = RunningStage.VALIDATING
    try:
        yield
    finally:
        trainer.state.stage = stage


def wrap_again(strategy: Strategy) -> None:
    """Let DDP look at the module anew: which parameters train, and nothing of what it has seen before.

    Lightning wraps a module once, as a fit begins (its issue 20340).
    """
    if isinstance(strategy, DDPStrategy):
        strategy.model = strategy.lightning_module
        strategy.configure_ddp()


# Classes to derive from.


class MetricsProgressBar(RichProgressBar):
    """Rich's progress bar whose column of metrics a subclass makes; Lightning's lets one choose the others alone."""

    def metrics_column(self, trainer: pl.Trainer) -> MetricsTextColumn:
        """Return the last column."""
        theme = self.theme
        return MetricsTextColumn(trainer, theme.metrics, theme.metrics_text_delimiter, theme.metrics_format)

    @override
    def _init_progress(self, trainer: pl.Trainer) -> None:
        before = self.progress
        super()._init_progress(trainer)
        if self.progress is not None and self.progress is not before:
            self._metric_component = self.metrics_column(trainer)
            self.progress.columns = (*self.progress.columns[:-1], self._metric_component)


class OpenWandbLogger(WandbLogger):
    """Lightning's W&B logger for a subclass that starts the run by itself; Lightning starts it when it is asked for."""

    @property
    def init_arguments(self) -> dict[str, Any]:
        """What ``wandb.init`` is to be given."""
        # Lightning hands on what W&B has given up and warns of.
        return {name: value for name, value in self._wandb_init.items() if name != "anonymous"}

    @property
    def opened(self) -> Any | None:
        """The run, once it is there; ``experiment`` gives it, and does not start another."""
        return self._experiment

    @opened.setter
    def opened(self, run: Any | None) -> None:
        self._experiment = run

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Leave the run behind; Lightning's own starts one in order to do so."""
        return {**self.__dict__, "_experiment": None}
