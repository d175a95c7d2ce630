"""``summary.json`` and the predictions behind it: what a run reached, with the interval of the figure."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from lightning_recipes.atomic_io import write_csv, write_json
from lightning_recipes.data.batch import batch_length
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.best import best_of
from lightning_recipes.engine.predictions import judged
from lightning_recipes.engine.run_end import what_stopped
from lightning_recipes.evaluation.divergence import LossHistory
from lightning_recipes.evaluation.gather import gather_by_index
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.models.snapshot_files import INDEX, find_snapshots
from lightning_recipes.modules.protocols import GivesProbabilities, Staged, offers, require_staged
from lightning_recipes.randomness import run_seed
from lightning_recipes.run.reader import RunContents
from lightning_recipes.stages.plan import Plan

__all__ = ["RunSummary"]


@dataclass(frozen=True)
class Judgement:
    """What was seen of a run's best epoch.

    Attributes:
        epoch: Counted from 0.
        step: Optimizer steps before its validation.
        correct: Validation images that are right.
        images: All of them.
        loss: Over all of them, where one was logged.
    """

    epoch: int
    step: int
    correct: int
    images: int
    loss: float | None


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
        self.stage_seconds: dict[str, float] = {}
        self.stage_images: dict[str, int] = {}
        self.stage_lr: dict[str, float] = {}
        self.seconds_before = 0.0
        self._session_start = self._epoch_start = self._validation_start = self._validating = 0.0
        self._parts: list[dict[str, Tensor]] = []
        self._latest: tuple[Judgement, dict[str, Tensor]] | None = None

    # State: what cannot be told from the checkpoint's weights and progress.

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what the best validation so far has seen, and the time that was spent."""
        return {
            "seen": None if self.seen is None else asdict(self.seen),
            "losses": self.history.state_dict(),
            "stage_seconds": dict(self.stage_seconds),
            "stage_images": dict(self.stage_images),
            "stage_lr": dict(self.stage_lr),
            "seconds": self.seconds(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        seen, self.seconds_before = state_dict.get("seen"), state_dict["seconds"]
        self.seen = None if seen is None else Judgement(**seen)
        self.stage_seconds, self.stage_images = state_dict["stage_seconds"], state_dict["stage_images"]
        self.stage_lr = state_dict.get("stage_lr", {})
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
        name = _stage_name(pl_module, trainer.current_epoch)
        self.stage_images[name] = self.stage_images.get(name, 0) + batch_length(batch) * trainer.world_size
        if name not in self.stage_lr and offers(pl_module, Staged):
            self.stage_lr[name] = require_staged(pl_module, "RunSummary").base_lr  # as it is trained with, found or not

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's time without its validation."""
        name = _stage_name(pl_module, trainer.current_epoch)
        spent = time.monotonic() - self._epoch_start - self._validating
        self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + spent
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
        """Keep the predicted class and its probability; a module that returns something else has no predictions."""
        if isinstance(outputs, Mapping) and {"probabilities", "labels", "indices"} <= set(outputs):
            probability, predicted = outputs["probabilities"].max(dim=1)
            part = {"index": outputs["indices"], "true": outputs["labels"], "predicted": predicted, "p": probability}
            self._parts.append({name: tensor.detach().cpu() for name, tensor in part.items()})

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the ranks' predictions together."""
        found = None if trainer.sanity_checking else gather_by_index(self._parts, trainer.world_size)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.history.validated(trainer.current_epoch, trainer.callback_metrics)
        if found is not None and trainer.state.fn == "fit":
            hits, loss = int((found["true"] == found["predicted"]).sum()), trainer.callback_metrics.get("val_loss")
            when = {"epoch": trainer.current_epoch, "step": trainer.global_step}
            seen = Judgement(
                **when, correct=hits, images=len(found["true"]), loss=None if loss is None else float(loss)
            )
            self._latest = (seen, found)
        self._parts = []
        self._validating += time.monotonic() - self._validation_start

    def _keep_best(self, trainer: pl.Trainer) -> None:
        """Keep the latest validation if it is the run's best; the judge has decided after this callback saw it."""
        if self._latest is None:
            return
        (seen, found), best, self._latest = self._latest, best_of(trainer), None
        if best is None or best.step == seen.step:
            self.seen = seen
            if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
                _write_predictions(self.folder / self.PREDICTIONS, found, image_data_of(trainer))

    # The file.

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary of a whole run, and its predictions, from what the best checkpoint does."""
        if offers(pl_module, GivesProbabilities) and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._judge_file(trainer, pl_module)
        self._write(trainer, pl_module)

    def _judge_file(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        best, (_, found) = best_of(trainer), judged(trainer, module)
        if found is None:
            return
        epoch, step = (trainer.current_epoch - 1, trainer.global_step) if best is None else (best.epoch, best.step)
        self.seen = Judgement(epoch, step, found.correct, len(found.labels), found.loss)
        if trainer.is_global_zero:
            probability, predicted = found.probabilities.max(dim=1)
            table = {"index": found.indices, "true": found.labels, "predicted": predicted, "p": probability}
            _write_predictions(self.folder / self.PREDICTIONS, table, image_data_of(trainer))

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
        images, seconds = sum(self.stage_images.values()), sum(self.stage_seconds.values())
        seen, stopped_by = self.seen, what_stopped(trainer, module, exception)
        return {
            "recipe": self.recipe,
            "seed": run_seed(),
            "epochs": trainer.current_epoch,
            "global_step": trainer.global_step,
            "finished": stopped_by is None,
            "stopped_by": stopped_by,
            "diverged_at_epoch": self.history.diverged_at_epoch,
            "seconds": round(self.seconds(), 3),
            "train_images_per_second": _rate(images, seconds),
            "val_loss": None if seen is None else _finite(seen.loss),
            "val_accuracy": None if seen is None else seen.correct / seen.images,
            "val_accuracy_ci95": None if seen is None else list(wilson_interval(seen.correct, seen.images)),
            "val_images": None if seen is None else seen.images,
            "best_epoch": None if seen is None else seen.epoch,
            "val_predictions": None if seen is None else self.PREDICTIONS,
            "skipped_files": _skipped(trainer),
            "train_images": _train_images(trainer),
            "classes": list(getattr(module, "class_names", None) or []),
            "weights_sha256": weights_sha256(module),
            "stages": self._stages(trainer, module),
            **_beside(self.folder),
        }

    def _stages(self, trainer: pl.Trainer, module: pl.LightningModule) -> list[dict[str, Any]]:
        """What each stage was trained: its epochs are those that are over, of ``planned_epochs``."""
        plan, lr, done = getattr(module, "plan", None), module.hparams.get("lr"), trainer.current_epoch
        if not isinstance(plan, Plan):
            named = [("all", done, done, lr)]
        else:
            starts = [plan.start_of(position) for position in range(len(plan.stages))]
            named = [
                (s.name, min(max(done - start, 0), s.epochs), s.epochs, lr if s.lr is None else s.lr)
                for s, start in zip(plan.stages, starts, strict=True)
            ]
        return [
            {
                "name": name,
                "epochs": epochs,
                "planned_epochs": planned,
                "base_lr": self.stage_lr.get(name, rate),
                "images_per_second": _rate(self.stage_images.get(name, 0), self.stage_seconds.get(name, 0.0)),
            }
            for name, epochs, planned, rate in named
        ]


def _beside(folder: Path) -> dict[str, Any]:
    """What other callbacks have left in the run's folder: rates that were found, snapshots and their ensemble."""
    found: dict[str, Any] = {}
    results, snapshots = RunContents(folder).range_tests, folder / "snapshots"
    if results:
        found["lr_found"] = [{"stage": s, "lr": r["lr"], "applied": r["applied"]} for s, r in results.items()]
    if (snapshots / INDEX).exists():
        ensemble = json.loads((snapshots / INDEX).read_text())
        found["snapshots"] = [
            {
                "path": f"snapshots/{s.path.name}",
                "epoch": s.figures["epoch"],
                "val_accuracy": s.figures.get("val_accuracy"),
            }
            for s in find_snapshots(snapshots)
        ]
        if ensemble.get("last"):
            whole = ensemble["last"][-1]
            found |= {"ensemble_val_accuracy": whole["accuracy"], "ensemble_val_accuracy_ci95": whole["ci95"]}
    if (folder / "figures" / "gradcam.png").exists():
        found["gradcam"] = "figures/gradcam.png"
    return found


def _skipped(trainer: pl.Trainer) -> int:
    """Files of the data that were left out as unreadable."""
    data = image_data_of(trainer)
    return 0 if data is None else len(data.opened.skipped)


def _train_images(trainer: pl.Trainer) -> int | None:
    data = image_data_of(trainer)
    return None if data is None else len(data.opened.splits.train)


def _finite(value: float | None) -> float | None:
    """None for what is no number, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def _rate(images: int, seconds: float) -> float | None:
    return round(images / seconds, 2) if seconds > 0 else None


def _stage_name(module: pl.LightningModule, epoch: int) -> str:
    plan = getattr(module, "plan", None)
    return plan.at(epoch).name if isinstance(plan, Plan) else "all"


def _write_predictions(path: Path, predictions: dict[str, Tensor], data: ImageDataModule | None) -> None:
    """Write one row an image: path, true, predicted, probability (of the predicted class)."""
    paths = None if data is None else data.opened.splits.val.paths
    classes = None if data is None else data.classes
    rows = []
    for index, true, predicted, p in zip(
        *(predictions[name].tolist() for name in ("index", "true", "predicted", "p")), strict=True
    ):
        name = paths[index] if paths is not None else index
        labels = (classes[true], classes[predicted]) if classes is not None else (true, predicted)
        rows.append([name, *labels, f"{p:.6f}"])
    write_csv(path, ["path", "true", "predicted", "probability"], rows)
