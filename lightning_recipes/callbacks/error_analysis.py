"""What a run gets wrong, in numbers: confusion, calibration, doubtful labels, and what to try next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.atomic_io import write_csv, write_json
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.data.sources.labels import class_counts
from lightning_recipes.engine.best import best_of
from lightning_recipes.engine.outcome import outcome_of, predict_training
from lightning_recipes.engine.predictions import Predictions, judged, names_of
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.costs import cost_figures, cost_matrix
from lightning_recipes.evaluation.diagnosis import diagnose
from lightning_recipes.evaluation.divergence import LossHistory
from lightning_recipes.evaluation.out_of_fold import out_of_fold
from lightning_recipes.evaluation.outcome import Outcome
from lightning_recipes.evaluation.thresholds import rejection
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.modules.protocols import GivesProbabilities, offers, require_backbone, require_probabilities
from lightning_recipes.modules.tasks.task import Doubt

__all__ = ["ErrorAnalysis"]

ISSUE_COLUMNS = ("split", "path", "given", "suggested", "margin", "confident")


class ErrorAnalysis(pl.Callback):
    """Analyse the validation images at the end of a fit, with the weights of the run's best checkpoint.

    Writes into the trainer's ``default_root_dir``, which Lightning takes for the current folder where none is given (on
    the command line: the run's folder).

    ``errors.json``: confusion matrix, the pairs that are confused most, precision, recall and F1 of each class
    with intervals, the highest losses, calibration error and the temperature that mends it, and a diagnosis in words
    with the number that led to each sentence. ``label_issues.csv`` lists the images whose label is most probably wrong
    (split, path, given, suggested, margin, confident), worst first; training images too where ``label_folds`` is
    given, judged by a linear classifier on the network's features that was fitted on the other folds. Pictures:
    ``figures/confusion.png``, ``figures/calibration.png``.

    The diagnosis compares the errors of one set of weights, on validation images and on as many training images (at
    least 200, where there are) without augmentation; the callback keeps the losses of the epochs for it.

    Source: Ng (2018), "Machine Learning Yearning", chapter 14 (error analysis); Guo et al. (2017) for calibration;
    Northcutt et al. (2021) for labels.

    When: always; it takes a pass over the validation images and one over as many training images. Not with: the test
    set, whose mistakes are not to be learnt from.

    Thresholds: how well each class is told from the others (areas under the ROC and the precision-recall curve), a
    threshold for each, and what is right among the surest images; chosen on one half of the images and judged on the
    other. ``figures/roc.png``, ``figures/coverage.png``.

    Args:
        worst: How many of the highest losses are listed, >= 0.
        label_folds: Folds for the labels of the training images, >= 2; 0 leaves them out. Takes a pass over them.
        run: Do it; false leaves it out.
        costs: What it costs to take one class for another, by their names: ``{melanoma: {nevus: 20}}``; 1 where nothing
            is said, 0 where it is right. ``errors.json`` then has the mean cost of an image as it is decided, and where
            the lowest expected cost decides (Elkan 2001).

    Raises:
        UserError: A value cannot work; at the start, a class has fewer training images than there are folds, or there
            is no class that ``costs`` names.
    """

    def __init__(
        self,
        worst: int = 50,
        label_folds: int = 0,
        run: bool = True,
        costs: dict[str, dict[str, float]] | None = None,
    ) -> None:
        refuse_bad_values(
            "ErrorAnalysis",
            ("worst", worst, worst >= 0, "a number >= 0"),
            ("label_folds", label_folds, label_folds == 0 or label_folds >= 2, "a number >= 2, nor 0"),
        )
        self.worst, self.label_folds, self.run, self.costs = worst, label_folds, run, costs
        self.history = LossHistory()

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the validation loss."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.history.validated(trainer.current_epoch, trainer.callback_metrics)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what does not fit the data, before anything is trained."""
        if self.run and self.costs and offers(pl_module, GivesProbabilities):
            module = require_probabilities(pl_module, "ErrorAnalysis")
            if module.task.several_labels:
                raise UserError("ErrorAnalysis.costs: are of one label an image; leave them out")
            cost_matrix(self.costs, names_of(module), "ErrorAnalysis.costs")
        data = image_data_of(trainer)
        if not self.run or not self.label_folds or data is None:
            return
        if require_probabilities(pl_module, "ErrorAnalysis").task.several_labels:
            raise UserError("ErrorAnalysis.label_folds: takes one label an image; leave it out, or give 0")
        counts = class_counts(data.opened.splits.train.labels, data.num_classes)
        fewest, name = min(zip(counts, data.classes, strict=True))
        if fewest < self.label_folds:
            raise UserError(
                f"ErrorAnalysis.label_folds: {self.label_folds} folds, but class '{name}' has {fewest} training "
                "images; give fewer folds, or 0"
            )

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch's training loss."""
        self.history.trained(trainer.current_epoch, trainer.callback_metrics)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        return {"losses": self.history.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the losses so far."""
        self.history.load_state_dict(state_dict.get("losses"))

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Analyse what the best epoch gets wrong."""
        if not self.run or not offers(pl_module, GivesProbabilities) or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        model, predictions = judged(trainer, pl_module)
        best = require_probabilities(model, "ErrorAnalysis")
        of_training = self._training(trainer, model) if self.label_folds else None
        seen = predict_training(trainer, best, 0 if predictions is None else len(predictions.labels))
        if predictions is None or not trainer.is_global_zero:
            return
        folder, names, task = Path(trainer.default_root_dir), names_of(best), predictions.task
        doubts = task.doubts(predictions.probabilities, predictions.labels, names)
        found = task.analysis(predictions.probabilities, predictions.labels, names)
        of, outcome = best_of(trainer), outcome_of(trainer, pl_module, predictions, seen, self.history, doubts, found)
        result = self.analysis(outcome, found, predictions, names, _paths(trainer, "val"))
        if self.costs:
            matrix = cost_matrix(self.costs, names, "ErrorAnalysis.costs")
            result["costs"] = cost_figures(predictions.labels, predictions.probabilities, matrix)
        if (below := getattr(best, "reject_below", None)) is not None:
            right = task.right(predictions.probabilities, predictions.labels)
            result["rejected"] = rejection(predictions.probabilities.amax(dim=1), right, below)
        write_json(folder / "errors.json", {"best_epoch": None if of is None else of.epoch, **result})
        doubtful = _issues("val", doubts, predictions, _paths(trainer, "val"))
        if of_training is not None:
            doubts = task.doubts(of_training.probabilities, of_training.labels, names)
            doubtful = _issues("train", doubts, of_training, _paths(trainer, "train"), _real(trainer)) + doubtful
        write_csv(folder / "label_issues.csv", ISSUE_COLUMNS, doubtful)
        figures = task.figures(predictions.probabilities, predictions.labels, names, found)
        for name, figure in figures.items():
            save_figure(figure, folder / "figures" / f"{name}.png", key=name, loggers=trainer.loggers)

    def _training(self, trainer: pl.Trainer, model: pl.LightningModule) -> Predictions | None:
        """Out-of-fold predictions for the training images; every process has to call."""
        images = image_data_of(trainer)
        if images is None:
            return None
        who = "ErrorAnalysis.label_folds"
        network, best = require_backbone(model, who), require_probabilities(model, who)
        extract = partial(network.extract_features, precision=trainer.precision_plugin)
        data = images.train_features(extract, best.input_judged)
        if not data.features.isfinite().all():  # of a training that diverged
            return None
        fewest = int(torch.bincount(data.labels, minlength=best.num_classes).min())
        if fewest < self.label_folds:
            raise UserError(f"ErrorAnalysis.label_folds: {self.label_folds} folds, but a class has {fewest} images")
        p = out_of_fold(data.features.clone(), data.labels, num_classes=best.num_classes, folds=self.label_folds)
        return Predictions(torch.arange(len(data.labels)), data.labels, p)

    def analysis(
        self,
        outcome: Outcome,
        found: Mapping[str, Any],
        predictions: Predictions,
        names: Sequence[str],
        paths: Sequence[str] | None,
    ) -> dict[str, Any]:
        """Return what ``errors.json`` holds: ``found`` is the task's part of it."""
        task, said = predictions.task, predictions.predicted
        losses = task.losses_of(predictions.probabilities, predictions.labels)
        ranked = losses.argsort(descending=True, stable=True)
        worst = ranked[losses[ranked].isfinite()][: self.worst].tolist()
        seen = {"images": outcome.train_images, "correct": outcome.train_correct} if outcome.train_images else None
        return {
            "images": outcome.images,
            "correct": outcome.correct,
            "correct_means": outcome.measure,
            "training": seen,
            "diagnosis": [asdict(finding) for finding in diagnose(outcome)],
            **found,
            "highest_losses": [
                {
                    "path": predictions.path(row, paths),
                    "true": task.words(predictions.labels[row], names),
                    "predicted": task.words(said[row], names),
                    "loss": round(float(losses[row]), 4),
                }
                for row in worst
            ],
        }


def _paths(trainer: pl.Trainer, split: str) -> Sequence[str] | None:
    data = image_data_of(trainer)
    return None if data is None else getattr(data.opened.splits, split).paths


def _real(trainer: pl.Trainer) -> int | None:
    """Number of the training images that are real; extra ones come after them."""
    data = image_data_of(trainer)
    return None if data is None else len(data.opened.splits.train) - data.extra_images


def _issues(
    split: str,
    doubts: Sequence[Doubt],
    predictions: Predictions,
    paths: Sequence[str] | None,
    real: int | None = None,
) -> list[list[str]]:
    rows = []
    for d in doubts:
        where = split if real is None or predictions.indices[d.row] < real else "extra"
        path, sure = predictions.path(d.row, paths), str(d.confident).lower()
        rows.append([where, path, d.given, d.suggested, f"{d.margin:.4f}", sure])
    return rows
