"""What adversaries cannot be trained with, said before the first step."""

from typing import Any

import lightning.pytorch as pl

from lightning_recipes.data.batch import Batch
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.stages.plan import Plan

__all__ = ["refuse_batch", "refuse_data", "refuse_norm", "refuse_plan"]


def refuse_plan(plan: Plan, groups: int, image_size: int) -> None:
    """Refuse a stage that trains one adversary alone, or on images of another size.

    Raises:
        UserError: Names the stage.
    """
    for stage in plan.stages:
        if stage.trainable_of(groups) < groups:
            raise UserError(f"stage '{stage.name}', train: adversaries train together; give all")
        if stage.image_size not in (None, image_size):
            raise UserError(f"stage '{stage.name}', image_size: the generator makes one size; leave it out")


def refuse_norm(trainer: pl.Trainer) -> None:
    """Refuse Lightning's clipping by one norm.

    Raises:
        UserError: The trainer clips by it.
    """
    if trainer.gradient_clip_val and trainer.gradient_clip_algorithm != "value":
        raise UserError(
            "trainer.gradient_clip_val: takes two adversaries for one network; leave it out, or give "
            "trainer.gradient_clip_algorithm: value"
        )


def refuse_data(trainer: pl.Trainer, made: InputConfig) -> None:
    """Refuse data whose images cannot be compared with those that are made.

    Args:
        trainer: Whose data it is.
        made: How real images have to become inputs.

    Raises:
        UserError: Names the key of the data.
    """
    if (data := image_data_of(trainer)) is None:
        return
    if data.several_labels:
        raise UserError("data.task: images are made of one class each; give multiclass")
    if len(data.opened.splits.val) < 2:
        raise UserError("data.val_fraction: one validation image has no spread to compare with; give two or more")
    own = data.input_config
    if own.image_size != made.image_size:
        raise UserError(f"data.image_size: {own.image_size} is not the size that is made, {made.image_size}")
    if (own.mean, own.std) != (made.mean, made.std):
        raise UserError("data.mean and std: the generator makes values from -1 to 1; leave both out")


def refuse_batch(batch: Any) -> None:
    """Refuse a batch that is not images with a label each.

    Raises:
        UserError: It is mixed, or its images have several labels.
    """
    if not isinstance(batch, Batch) or batch.labels.ndim != 1:
        raise UserError(
            f"model: a {type(batch).__name__} has no image of one class to learn from; leave Mixing and several "
            "labels out"
        )
