"""What a fit came to, in the figures that its diagnosis is read off."""

import lightning.pytorch as pl
import torch
from torch import Tensor

from lightning_recipes.engine.predictions import Predictions, predict_split
from lightning_recipes.engine.run_end import what_stopped
from lightning_recipes.evaluation.divergence import LossHistory
from lightning_recipes.evaluation.label_issues import label_issues
from lightning_recipes.evaluation.outcome import Outcome
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.randomness import generator_for

__all__ = ["outcome_of", "predict_training"]

FEWEST = 200  # training images that the training error is taken from, where validation has fewer


def predict_training(trainer: pl.Trainer, model: ImageClassifier, images: int) -> Predictions | None:
    """Return the predictions for training images without augmentation; every process has to call.

    Drawn at random from all of them, the same in every run of a data set. None where it is not known which images were
    trained on: of a data module that is not ours, or with ``overfit_batches``.

    Args:
        trainer: When the fit is over.
        model: What is judged.
        images: How many, if there are as many.
    """
    opened = getattr(trainer.datamodule, "opened", None)  # type: ignore[attr-defined]
    if opened is None or trainer.overfit_batches:  # type: ignore[attr-defined]
        return None
    order = torch.randperm(len(opened.splits.train), generator=generator_for("training error", seed=0))
    return predict_split(trainer, model, "train", sorted(order[: max(images, FEWEST)].tolist()))


def outcome_of(
    trainer: pl.Trainer,
    module: ImageClassifier,
    predictions: Predictions,
    seen: Predictions | None,
    history: LossHistory,
) -> Outcome:
    """Return what a fit that is over came to.

    Args:
        trainer: Of the fit.
        module: That was trained, with its plan if it has one.
        predictions: For the validation images, by what is judged.
        seen: For training images, by the same weights.
        history: The losses on the way there.
    """
    labels, p, classes = predictions.labels, predictions.probabilities, module.num_classes
    plan, planned = module.plan, trainer.max_epochs if module.plan is None else module.plan.epochs
    return Outcome(
        correct=predictions.correct,
        images=len(labels),
        classes=classes,
        largest_class=int(torch.bincount(labels, minlength=classes).max()),
        predicted_classes=int((torch.bincount(predictions.predicted) > 0).sum()),
        train_correct=0 if seen is None else seen.correct,
        train_images=0 if seen is None else len(seen.labels),
        train_set=None if seen is None else len(trainer.datamodule.opened.splits.train),  # type: ignore[attr-defined]
        train_losses=history.train,
        val_losses=history.val,
        loss_error=_relative_error(-p.double().gather(1, labels[:, None]).squeeze(1).clamp_min(1e-12).log()),
        stage_starts=[0] if plan is None else [plan.start_of(position) for position in range(len(plan.stages))],
        epochs=trainer.current_epoch,
        planned_epochs=None if planned is None or planned < 0 else planned,
        stopped_by=what_stopped(trainer, module),
        doubtful_labels=sum(issue.confident for issue in label_issues(labels, p)),
    )


def _relative_error(losses: Tensor) -> float:
    """Standard error of the mean of losses (N,) as a share of it; 0 where there is none."""
    mean, images = float(losses.mean()), len(losses)
    return float(losses.std() / images**0.5) / mean if images > 1 and 0 < mean < torch.inf else 0.0
