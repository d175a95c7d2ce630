"""Progress for a log file: one line an epoch."""

import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override

from lightning_recipes.evaluation.percent import percent
from lightning_recipes.stages.plan import Plan

__all__ = ["EpochLines", "epoch_line"]

SHOWN = (
    *("train_loss", "train_accuracy", "train_pretext_loss", "train_generator_loss", "train_discriminator_loss"),
    *("val_loss", "val_pretext_loss", "val_accuracy", "val_knn_accuracy", "val_map", "val_frechet_distance"),
)


class EpochLines(ProgressBar):
    """Print a line at the end of each epoch of a fit: stage, epoch, losses, accuracy, images a second, time left.

    For where no terminal redraws a bar. The time left takes the epochs to come to be as long as the last one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._began = self._validating = 0.0
        self._images = 0

    @override
    def disable(self) -> None:
        """Print nothing, as on all processes but the first."""
        self._enabled = False

    @override
    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of a run that goes on inside an epoch, which has no start then."""
        self._begin()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._begin()

    def _begin(self) -> None:
        self._began, self._validating, self._images = time.monotonic(), 0.0, 0

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images."""
        labels = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else ()
        self._images += len(labels) * trainer.world_size

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the validation out of the images a second."""
        self._validating -= time.monotonic()

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the validation out of the images a second."""
        self._validating += time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        plan, seconds, epochs = getattr(pl_module, "plan", None), time.monotonic() - self._began, trainer.max_epochs
        line = epoch_line(
            plan.at(trainer.current_epoch).name if isinstance(plan, Plan) else "",
            trainer.current_epoch + 1,
            epochs if epochs is not None and epochs > 0 else None,
            {name: float(value) for name, value in trainer.callback_metrics.items() if name in SHOWN},
            images_per_second=self._images / max(seconds - self._validating, 1e-9),
            seconds=seconds,
        )
        if self._enabled:
            print(line, flush=True)


def epoch_line(
    stage: str,
    epoch: int,
    epochs: int | None,
    metrics: Mapping[str, float],
    *,
    images_per_second: float,
    seconds: float,
) -> str:
    """Return the line of an epoch.

    Args:
        stage: Its name, may be empty.
        epoch: Counted from 1.
        epochs: Of the whole run, None where nobody knows.
        metrics: Those of :data:`SHOWN` are printed.
        images_per_second: Of the training.
        seconds: That the epoch took, validation included.

    Example:
        >>> epoch_line("all", 3, 40, {"train_loss": 0.5, "val_accuracy": 0.91}, images_per_second=512.3, seconds=2.0)
        'all  epoch 3 of 40  train_loss 0.5000  val_accuracy 91.0 %  512 images/s  1 min 14 s left'
    """
    parts = [f"epoch {epoch}" + (f" of {epochs}" if epochs else "")]
    for name in SHOWN:
        if name in metrics:
            value = metrics[name]
            parts.append(f"{name} {percent(value)}" if "accuracy" in name else f"{name} {value:.4f}")
    parts.append(f"{images_per_second:.0f} images/s")
    if epochs:
        parts.append(f"{_duration((epochs - epoch) * seconds)} left")
    return "  ".join([stage, *parts] if stage else parts)


def _duration(seconds: float) -> str:
    """Return seconds in the two largest units that matter.

    Example:
        >>> [_duration(s) for s in (8.4, 74, 3700)]
        ['8 s', '1 min 14 s', '1 h 1 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
