"""What a fit came to, in the figures that its diagnosis is read off."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.predictions import Predictions, predict_split
from lightning_recipes.engine.run_end import what_stopped
from lightning_recipes.evaluation.divergence import LossHistory
from lightning_recipes.evaluation.outcome import Outcome
from lightning_recipes.modules.planned import PlannedModule
from lightning_recipes.modules.protocols import GivesProbabilities
from lightning_recipes.modules.tasks.task import Doubt
from lightning_recipes.randomness import generator_for

__all__ = ["outcome_of", "predict_training"]

FEWEST = 200  # training images that the training error is taken from, where validation has fewer


def predict_training(trainer: pl.Trainer, model: GivesProbabilities, images: int) -> Predictions | None:
    """Return the predictions for training images without augmentation; every process has to call.

    Drawn at random from all that are real, as validation images are, the same in every run of a data set. None where it
    is not known which images were trained on: of a data module that is not ours, or with ``overfit_batches``.

    Args:
        trainer: When the fit is over.
        model: What is judged.
        images: How many, if there are as many.
    """
    data = image_data_of(trainer)
    if data is None or trainer.overfit_batches:  # type: ignore[attr-defined]
        return None
    real = len(data.opened.splits.train) - data.extra_images
    order = torch.randperm(real, generator=generator_for("training error", seed=0))
    return predict_split(trainer, model, "train", sorted(order[: max(images, FEWEST)].tolist()))


def outcome_of(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    predictions: Predictions,
    seen: Predictions | None,
    history: LossHistory,
    doubts: Sequence[Doubt],
    analysis: Mapping[str, Any],
) -> Outcome:
    """Return what a fit that is over came to.

    Args:
        trainer: Of the fit.
        module: That was trained, with its plan if it has one.
        predictions: For the validation images, by what is judged.
        seen: For training images, by the same weights.
        history: The losses on the way there.
        doubts: Of the labels of the validation images.
        analysis: Of the task, for them.
    """
    labels, p, task = predictions.labels, predictions.probabilities, predictions.task
    strata, said = task.strata(labels), task.strata(predictions.predicted)
    classes = p.shape[1] if labels.ndim == 1 else max(2, len(set(strata.tolist())))
    data, plan = image_data_of(trainer), module.plan if isinstance(module, PlannedModule) else None
    planned = trainer.max_epochs if plan is None else plan.epochs
    return Outcome(
        correct=predictions.correct,
        images=len(labels),
        classes=classes,
        largest_class=int(torch.bincount(strata).max()),
        predicted_classes=len(set(said.tolist())),
        train_correct=0 if seen is None else seen.correct,
        train_images=0 if seen is None else len(seen.labels),
        train_set=None if seen is None or data is None else len(data.opened.splits.train) - data.extra_images,
        train_losses=history.train,
        val_losses=history.val,
        other_losses=(history.others["train"], history.others["val"]),
        loss_error=_relative_error(task.losses_of(p, labels)),
        stage_starts=[0] if plan is None else [plan.start_of(position) for position in range(len(plan.stages))],
        epochs=trainer.current_epoch,
        planned_epochs=None if planned is None or planned < 0 else planned,
        stopped_by=what_stopped(trainer, module),
        doubtful_labels=len({doubt.row for doubt in doubts if doubt.confident}),
        against_chance=task.against_chance(analysis, labels),
        measure=task.right_means,
    )


def _relative_error(losses: Tensor) -> float:
    """Standard error of the mean of losses (N,) as a share of it; 0 where there is none."""
    mean, images = float(losses.mean()), len(losses)
    return float(losses.std() / images**0.5) / mean if images > 1 and 0 < mean < torch.inf else 0.0
