"""``summary.json`` and the predictions behind it: what a run reached, with the interval of the figure."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.data.batch import batch_length
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.best import Best, best_of
from lightning_recipes.engine.collect_predictions import has_predictions
from lightning_recipes.engine.judgement import Judgement, Rows
from lightning_recipes.engine.prediction_table import PredictionTable
from lightning_recipes.engine.predictions import judged, names_of
from lightning_recipes.engine.run_end import what_stopped
from lightning_recipes.engine.stage_totals import StageTotals
from lightning_recipes.evaluation.divergence import LossHistory
from lightning_recipes.evaluation.gather import gather_by_index
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.protocols import GivesProbabilities, offers, require_probabilities
from lightning_recipes.modules.tasks import Task
from lightning_recipes.randomness import run_seed
from lightning_recipes.run.entries import entries_of_files
from lightning_recipes.run.reader import RunContents

__all__ = ["RunSummary"]


class RunSummary(pl.Callback):
    """Write ``summary.json`` at the end of a fit, also of one that was interrupted or failed.

    ``val_loss``, ``val_accuracy`` and the predictions are those of the run's best checkpoint: at the end of a fit what
    the file does, computed anew from the images; of one that was interrupted what the validation of its epoch said.
    The file is written whole or not at all.

    Args:
        folder: The run's folder.
        recipe: What the run is called in the summary.
    """

    PREDICTIONS = "val_predictions.csv"

    def __init__(self, folder: str, recipe: str = "") -> None:
        self.folder, self.recipe = Path(folder), recipe
        self.seen: Judgement | None = None
        self.history = LossHistory()
        self.totals = StageTotals()
        self.seconds_before = 0.0
        self._session_start = self._epoch_start = self._validation_start = self._validating = 0.0
        self._parts: list[dict[str, Tensor]] = []
        self._latest: tuple[Judgement, Rows, Task] | None = None
        self._table: PredictionTable | None = None

    # State: what cannot be told from the checkpoint's weights and progress.

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what the best validation so far has seen, and the time that was spent."""
        return {
            "seen": None if self.seen is None else self.seen.state_dict(),
            "losses": self.history.state_dict(),
            **self.totals.state_dict(),
            "seconds": self.seconds(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        seen, self.seconds_before = state_dict.get("seen"), state_dict["seconds"]
        self.seen = None if seen is None else Judgement.of(seen)
        self.totals = StageTotals.of(state_dict)
        self.history.load_state_dict(state_dict.get("losses"))

    def seconds(self) -> float:
        """Wall time of the fit in seconds, of all its sessions."""
        return self.seconds_before + (time.monotonic() - self._session_start if self._session_start else 0.0)

    # Time and images.

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the clock."""
        if stage == "fit":
            self._session_start = time.monotonic()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._epoch_start, self._validating = time.monotonic(), 0.0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock for a run that goes on inside an epoch."""
        self._epoch_start = time.monotonic()

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images."""
        self._keep_best(trainer)
        self.totals.add_batch(trainer, pl_module, batch_length(batch))

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's time without its validation."""
        self.totals.add_seconds(trainer, pl_module, time.monotonic() - self._epoch_start - self._validating)
        self.history.trained(trainer.current_epoch, trainer.callback_metrics)
        self._keep_best(trainer)

    # Predictions.

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a new set of predictions."""
        self._validation_start, self._parts = time.monotonic(), []

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what the task needs; a module that returns something else has no predictions."""
        task = _task_of(pl_module)
        if task is None or not has_predictions(outputs):
            return
        part = {"index": outputs["indices"], **task.seen(outputs["probabilities"], outputs["labels"])}
        self._parts.append({name: tensor.detach().cpu() for name, tensor in part.items()})

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the ranks' predictions together."""
        found = None if trainer.sanity_checking else gather_by_index(self._parts, trainer.world_size)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.history.validated(trainer.current_epoch, trainer.callback_metrics)
        task = _task_of(pl_module)
        if found is not None and task is not None and trainer.state.fn == "fit":
            loss = trainer.callback_metrics.get("val_loss")
            when: dict[str, Any] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
            seen = Judgement(**when, images=len(found["index"]), loss=None if loss is None else float(loss))
            self._latest = (seen, found, task)
        self._parts = []
        self._validating += time.monotonic() - self._validation_start

    def _keep_best(self, trainer: pl.Trainer) -> None:
        """Keep the latest validation if it is the run's best; the judge has decided after this callback saw it."""
        if self._latest is None:
            return
        (seen, found, task), best, self._latest = self._latest, best_of(trainer), None
        if best is None or best.step == seen.step:
            self.seen = replace(seen, entries=task.summary(found, intervals=task.intervals_are_quick))
            if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
                self._write_predictions(trainer, task, found)

    # The file.

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary of a whole run, and its predictions, from what the best checkpoint does."""
        if offers(pl_module, GivesProbabilities) and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._judge_file(trainer, pl_module)
        elif (best := best_of(trainer)) is not None:  # of a module without labels: what its validation logged
            data = image_data_of(trainer)
            images = None if data is None else len(data.opened.splits.val)
            self.seen = Judgement(best.epoch, best.step, images, best.metrics.get("val_loss"))
        self._write(trainer, pl_module)

    def _judge_file(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        best, (_, found) = best_of(trainer), judged(trainer, module)
        if found is None:
            return
        epoch, step = (trainer.current_epoch - 1, trainer.global_step) if best is None else (best.epoch, best.step)
        rows = {"index": found.indices, **found.task.seen(found.probabilities, found.labels)}
        self.seen = Judgement(epoch, step, len(found.labels), found.loss, found.task.summary(rows))
        if trainer.is_global_zero:
            self._write_predictions(trainer, found.task, rows)

    def _write_predictions(self, trainer: pl.Trainer, task: Task, rows: Rows) -> None:
        """Write one row an image."""
        if self._table is None:
            data, module = image_data_of(trainer), require_probabilities(trainer.lightning_module, "RunSummary")
            source = None if data is None else data.opened.splits.val
            self._table = PredictionTable(source, names_of(module) if data is None else list(data.classes))
        self._table.write(self.folder / self.PREDICTIONS, task, rows)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the summary of a run that was stopped, if it had begun to train."""
        if trainer.state.fn == "fit" and trainer.global_step > 0:
            self._keep_best(trainer)
            self._write(trainer, pl_module, exception)

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException | None = None) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            write_json(self.folder / "summary.json", self.summary(trainer, module, exception))

    def summary(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException | None = None
    ) -> dict[str, Any]:
        """Return what ``summary.json`` holds; values that the run has not reached are None."""
        seen, stopped_by = self.seen, what_stopped(trainer, module, exception)
        epochs = self._epochs(trainer)
        return {
            "recipe": self.recipe,
            "seed": run_seed(),
            "epochs": epochs,
            "global_step": trainer.global_step,
            "finished": stopped_by is None,
            "stopped_by": stopped_by,
            "diverged_at_epoch": self.history.diverged_at_epoch,
            "seconds": round(self.seconds(), 3),
            "train_images_per_second": self.totals.images_per_second,
            "val_loss": None if seen is None else _finite(seen.loss),
            **_entries(module, seen),
            "val_images": None if seen is None else seen.images,
            "best_epoch": None if seen is None else seen.epoch,
            **_monitored(best_of(trainer)),
            "val_predictions": self.PREDICTIONS if seen is not None and seen.entries else None,
            "skipped_files": _skipped(trainer),
            **_train_images(trainer),
            "classes": list(getattr(module, "class_names", None) or []),
            "weights_sha256": weights_sha256(module),
            "parameters": sum(parameter.numel() for parameter in module.parameters()),
            "stages": self.totals.rows(epochs, module),
            **entries_of_files(self.folder),
        }

    def _epochs(self, trainer: pl.Trainer) -> int:
        """Epochs that were trained, with one that a limit cut short: a fit that then had nothing to do forgets none."""
        before = RunContents(self.folder).summary
        same = before.get("global_step") == trainer.global_step
        return max(trainer.current_epoch, int(before["epochs"])) if same else trainer.current_epoch


def _task_of(module: pl.LightningModule) -> Task | None:
    return require_probabilities(module, "RunSummary").task if offers(module, GivesProbabilities) else None


def _entries(module: pl.LightningModule, seen: Judgement | None) -> dict[str, Any]:
    """What the task says of the best epoch; its names without values where nothing was seen."""
    task = _task_of(module)
    return seen.entries if seen is not None else {} if task is None else task.summary(None)


def _monitored(best: Best | None) -> dict[str, Any]:
    """Which metric decides which epoch is best, and what its validation said of it."""
    if best is None:
        return {"monitor": None, "best_score": None}
    return {"monitor": best.monitor, "best_score": _finite(best.metrics.get(best.monitor))}


def _skipped(trainer: pl.Trainer) -> int:
    """Files of the data that were left out as unreadable."""
    data = image_data_of(trainer)
    return 0 if data is None else len(data.opened.skipped)


def _train_images(trainer: pl.Trainer) -> dict[str, int | None]:
    """How many real images there are to train on, and how many extra ones beside them."""
    data = image_data_of(trainer)
    if data is None:
        return {"train_images": None, "extra_images": None}
    images, extra = len(data.train_source), data.extra_images
    return {"train_images": images - extra, "extra_images": extra}


def _finite(value: float | None) -> float | None:
    """None for what is no number, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None
