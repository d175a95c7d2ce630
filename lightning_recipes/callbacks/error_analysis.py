"""What a run gets wrong, in numbers: confusion, calibration, doubtful labels, and what to try next."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.classifier import ImageClassifier
from lightning_recipes.evaluation.calibration import (
    calibration_error,
    cooled,
    fit_temperature,
    held_out_error,
    reliability,
)
from lightning_recipes.evaluation.confusion import confusion_matrix, most_confused, per_class
from lightning_recipes.evaluation.diagnosis import diagnose
from lightning_recipes.evaluation.label_issues import label_issues
from lightning_recipes.figures.calibration import calibration_figure
from lightning_recipes.figures.confusion import confusion_figure
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.predictions import Predictions, judged
from lightning_recipes.whole_files import whole_file, write_json

__all__ = ["ErrorAnalysis"]

log = logging.getLogger(__name__)


class ErrorAnalysis(pl.Callback):
    """Analyse the validation images at the end of a fit, with the weights of the run's best checkpoint.

    Writes ``errors.json``: confusion matrix, the pairs that are confused most, precision, recall and F1 of each class
    with intervals, the highest losses, calibration error and the temperature that mends it, and a diagnosis in words
    with the number that led to each sentence. ``label_issues.csv`` lists the images whose label is most probably wrong
    (path, given, suggested, margin), worst first. Pictures: ``figures/confusion.png``, ``figures/calibration.png``.

    Keeps the validation losses of the epochs, for the diagnosis.

    Source: Ng (2018), "Machine Learning Yearning", chapter 14 (error analysis); Guo et al. (2017) for calibration;
    Northcutt et al. (2021) for labels.

    When: always; it takes a pass over the validation images. Not with: the test set, whose mistakes are not to be
    learnt from.

    Args:
        worst: How many of the highest losses are listed, >= 0.
        run: Do it; false leaves it out.
    """

    def __init__(self, worst: int = 50, run: bool = True) -> None:
        self.worst, self.run = worst, run
        self.val_losses: list[float] = []

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's validation loss."""
        if "val_loss" in trainer.callback_metrics:
            self.val_losses.append(float(trainer.callback_metrics["val_loss"]))

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        return {"val_losses": list(self.val_losses)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the losses so far."""
        self.val_losses = state_dict["val_losses"]

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Analyse what the best epoch gets wrong."""
        if not self.run or not isinstance(pl_module, ImageClassifier) or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        _, predictions = judged(trainer, pl_module)
        if predictions is None or not trainer.is_global_zero:
            return
        folder, names = Path(trainer.default_root_dir), _names(pl_module)
        paths = _paths(trainer)
        result = self.analysis(trainer, predictions, names, paths)
        write_json(folder / "errors.json", result)
        _write_issues(folder / "label_issues.csv", predictions, names, paths)
        matrix = confusion_matrix(predictions.labels, predictions.predicted, len(names))
        figures, loggers = folder / "figures", trainer.loggers
        picture = confusion_figure(matrix.numpy(), names)
        save_figure(picture, figures / "confusion.png", key="confusion", loggers=loggers)
        labels, p, calibration = predictions.labels, predictions.probabilities, result["calibration"]
        picture = calibration_figure(
            reliability(labels, p),
            reliability(labels, cooled(p, calibration["temperature"])),
            error=calibration["error"],
            mended_error=calibration["error_with_temperature"],
        )
        save_figure(picture, figures / "calibration.png", key="calibration", loggers=loggers)

    def analysis(
        self, trainer: pl.Trainer, predictions: Predictions, names: Sequence[str], paths: Sequence[str] | None
    ) -> dict[str, Any]:
        """Return what ``errors.json`` holds."""
        labels, p = predictions.labels, predictions.probabilities
        matrix = confusion_matrix(labels, predictions.predicted, len(names))
        correct, train_accuracy = int(matrix.diag().sum()), trainer.callback_metrics.get("train_accuracy")
        findings = diagnose(
            train_accuracy=None if train_accuracy is None else float(train_accuracy),
            correct=correct,
            images=len(labels),
            val_losses=self.val_losses,
        )
        losses = -p.double().gather(1, labels[:, None]).squeeze(1).clamp_min(1e-12).log()
        worst = losses.argsort(descending=True, stable=True)[: self.worst].tolist()
        return {
            "images": len(labels),
            "correct": correct,
            "diagnosis": [asdict(finding) for finding in findings],
            "most_confused": [asdict(pair) for pair in most_confused(matrix, names)],
            "classes": [asdict(figures) for figures in per_class(matrix, names)],
            "calibration": {
                "error": calibration_error(labels, p),
                "temperature": fit_temperature(labels, p),
                "error_with_temperature": held_out_error(labels, p),
            },
            "highest_losses": [
                {
                    "path": _path(paths, predictions, row),
                    "true": names[int(labels[row])],
                    "predicted": names[int(predictions.predicted[row])],
                    "loss": round(float(losses[row]), 4),
                }
                for row in worst
            ],
            "confusion_matrix": matrix.tolist(),
        }


def _names(module: ImageClassifier) -> list[str]:
    return list(module.class_names or [str(label) for label in range(module.num_classes)])


def _paths(trainer: pl.Trainer) -> Sequence[str] | None:
    opened = getattr(trainer.datamodule, "opened", None)  # type: ignore[attr-defined]
    return None if opened is None else opened.splits.val.paths


def _path(paths: Sequence[str] | None, predictions: Predictions, row: int) -> str:
    index = int(predictions.indices[row])
    return str(index if paths is None else paths[index])


def _write_issues(path: Path, predictions: Predictions, names: Sequence[str], paths: Sequence[str] | None) -> None:
    with whole_file(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "given", "suggested", "margin", "confident"])
        for issue in label_issues(predictions.labels, predictions.probabilities):
            image = _path(paths, predictions, issue.row)
            label, other = names[issue.given], names[issue.suggested]
            writer.writerow([image, label, other, f"{issue.margin:.4f}", str(issue.confident).lower()])
