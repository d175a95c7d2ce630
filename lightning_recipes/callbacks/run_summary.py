"""``summary.json`` and the predictions behind it: what a run reached, with the interval of the figure."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from typing_extensions import override

from lightning_recipes.classifier import ImageClassifier
from lightning_recipes.evaluation.gather import gather_by_index
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.models.snapshots import INDEX, find_snapshots
from lightning_recipes.plan import Plan
from lightning_recipes.randomness import run_seed
from lightning_recipes.run_contents import RunContents
from lightning_recipes.whole_files import write_csv, write_json

__all__ = ["RunSummary"]


class RunSummary(pl.Callback):
    """Write ``summary.json`` at the end of a fit, also of one that was interrupted or failed.

    ``val_accuracy`` and the predictions are those of the epoch that the run's best checkpoint was taken from. The file
    is written whole or not at all.

    Args:
        folder: The run's folder.
        recipe: What the run is called in the summary.
    """

    PREDICTIONS = "val_predictions.csv"

    def __init__(self, folder: str, recipe: str = "") -> None:
        self.folder, self.recipe = Path(folder), recipe
        self.best: dict[str, float] = {}
        self.stage_seconds: dict[str, float] = {}
        self.stage_images: dict[str, int] = {}
        self.stage_lr: dict[str, float] = {}
        self.seconds_before = 0.0
        self._session_start = self._epoch_start = self._validation_start = self._validating = 0.0
        self._parts: list[dict[str, Tensor]] = []
        self._gathered: dict[str, Tensor] | None = None

    # State: what cannot be told from the checkpoint's weights and progress.

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the best figures so far and the time that was spent."""
        return {
            "best": dict(self.best),
            "stage_seconds": dict(self.stage_seconds),
            "stage_images": dict(self.stage_images),
            "stage_lr": dict(self.stage_lr),
            "seconds": self.seconds(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.best, self.seconds_before = state_dict["best"], state_dict["seconds"]
        self.stage_seconds, self.stage_images = state_dict["stage_seconds"], state_dict["stage_images"]
        self.stage_lr = state_dict.get("stage_lr", {})

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
        name = _stage_name(pl_module, trainer.current_epoch)
        self.stage_images[name] = self.stage_images.get(name, 0) + len(batch[1]) * trainer.world_size
        if name not in self.stage_lr and isinstance(pl_module, ImageClassifier):
            self.stage_lr[name] = pl_module.base_lr  # as it is trained with, found or not

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's time without its validation, and keep its predictions if it is the best one."""
        name = _stage_name(pl_module, trainer.current_epoch)
        spent = time.monotonic() - self._epoch_start - self._validating
        self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + spent
        if self._gathered is not None and self._is_best(trainer):
            self._keep_best(trainer)
        self._gathered = None

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
        if not trainer.sanity_checking:
            self._gathered = gather_by_index(self._parts, trainer.world_size)
        self._validating += time.monotonic() - self._validation_start

    def _is_best(self, trainer: pl.Trainer) -> bool:
        """Judge as the run's best checkpoint will in a moment: a tie keeps the earlier epoch."""
        judge = next((c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)), None)
        if judge is None or judge.monitor is None or judge.monitor not in trainer.callback_metrics:
            self.best["score"] = math.nan
            return True
        score, best = float(trainer.callback_metrics[judge.monitor]), self.best.get("score")
        if best is not None and not (score > best if judge.mode == "max" else score < best):
            return False
        self.best["score"] = score
        return True

    def _keep_best(self, trainer: pl.Trainer) -> None:
        predictions = self._gathered
        assert predictions is not None
        hits = int((predictions["true"] == predictions["predicted"]).sum())
        self.best |= {"epoch": trainer.current_epoch, "correct": hits, "images": len(predictions["true"])}
        if "val_loss" in trainer.callback_metrics:
            self.best["val_loss"] = float(trainer.callback_metrics["val_loss"])
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            _write_predictions(self.folder / self.PREDICTIONS, predictions, trainer.datamodule)  # type: ignore[attr-defined]

    # The file.

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary of a whole run."""
        self._write(trainer, pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write the summary of a run that was stopped, if it had begun to train."""
        if trainer.state.fn == "fit" and trainer.global_step > 0:
            self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            write_json(self.folder / "summary.json", self.summary(trainer, module))

    def summary(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """Return what ``summary.json`` holds; figures that the run has not reached are None."""
        images, seconds = sum(self.stage_images.values()), sum(self.stage_seconds.values())
        judged = "correct" in self.best and self.best["images"] > 0
        correct, total = (int(self.best["correct"]), int(self.best["images"])) if judged else (0, 0)
        return {
            "recipe": self.recipe,
            "seed": run_seed(),
            "epochs": trainer.current_epoch,
            "global_step": trainer.global_step,
            "finished": trainer.state.status == "finished" or trainer.state.status == "running",
            "seconds": round(self.seconds(), 3),
            "train_images_per_second": _rate(images, seconds),
            "val_loss": self.best.get("val_loss"),
            "val_accuracy": correct / total if judged else None,
            "val_accuracy_ci95": list(wilson_interval(correct, total)) if judged else None,
            "val_images": total if judged else None,
            "best_epoch": int(self.best["epoch"]) if judged else None,
            "val_predictions": self.PREDICTIONS if judged else None,
            "skipped_files": _skipped(trainer),
            "train_images": _train_images(trainer),
            "classes": list(getattr(module, "class_names", None) or []),
            "weights_sha256": weights_sha256(module),
            "stages": self._stages(trainer, module),
            **_beside(self.folder),
        }

    def _stages(self, trainer: pl.Trainer, module: pl.LightningModule) -> list[dict[str, Any]]:
        plan, lr = getattr(module, "plan", None), module.hparams.get("lr")
        if not isinstance(plan, Plan):
            named = [("all", trainer.current_epoch, lr)]
        else:
            named = [(s.name, s.epochs, lr if s.lr is None else s.lr) for s in plan.stages]
        named = [(name, epochs, self.stage_lr.get(name, rate)) for name, epochs, rate in named]
        return [
            {
                "name": name,
                "epochs": epochs,
                "base_lr": rate,
                "images_per_second": _rate(self.stage_images.get(name, 0), self.stage_seconds.get(name, 0.0)),
            }
            for name, epochs, rate in named
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
    opened = getattr(trainer.datamodule, "opened", None)  # type: ignore[attr-defined]
    return len(opened.skipped) if opened is not None else 0


def _train_images(trainer: pl.Trainer) -> int | None:
    opened = getattr(trainer.datamodule, "opened", None)  # type: ignore[attr-defined]
    return len(opened.splits.train.paths) if opened is not None else None


def _rate(images: int, seconds: float) -> float | None:
    return round(images / seconds, 2) if seconds > 0 else None


def _stage_name(module: pl.LightningModule, epoch: int) -> str:
    plan = getattr(module, "plan", None)
    return plan.at(epoch).name if isinstance(plan, Plan) else "all"


def _write_predictions(path: Path, predictions: dict[str, Tensor], datamodule: Any) -> None:
    """Write one row an image: path, true, predicted, probability (of the predicted class)."""
    opened = getattr(datamodule, "opened", None)
    paths = opened.splits.val.paths if opened is not None else None
    classes = opened.splits.val.classes if opened is not None else None
    rows = []
    for index, true, predicted, p in zip(
        *(predictions[name].tolist() for name in ("index", "true", "predicted", "p")), strict=True
    ):
        name = paths[index] if paths is not None else index
        labels = (classes[true], classes[predicted]) if classes is not None else (true, predicted)
        rows.append([name, *labels, f"{p:.6f}"])
    write_csv(path, ["path", "true", "predicted", "probability"], rows)
