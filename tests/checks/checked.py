"""The checks of a small recipe: real digits, a backbone that has seen letters, a trainer of a step a stage."""

from typing import Any

import lightning.pytorch as pl

from lightning_recipes import ImageClassifier, ImageDataModule, Stage, Stages
from lightning_recipes.callbacks.pipeline_checks import PipelineChecks
from lightning_recipes.checks.check import Check
from tests.small import QUIET

ALL = Stage("all", epochs=1, lr=3e-3)
HEAD = Stage("head", epochs=1, train="head", lr=1e-2, cache_features=True)


UPRIGHT = {"name": "light", "flip": False}
DIGITS: dict[str, Any] = {
    "val_fraction": 0.06, "images_per_class": 8, "image_size": 32, "batch_size": 20, "augment": UPRIGHT,
}  # fmt: skip
"""Eight of each class at 32 px, and about as many to validate on."""


def digits(**options: Any) -> ImageDataModule:
    """Some digits."""
    return ImageDataModule("sklearn:digits", **{**DIGITS, **options})


def classifier(kind: type[ImageClassifier] = ImageClassifier, **options: Any) -> ImageClassifier:
    """A small backbone that has seen letters, no digit."""
    pl.seed_everything(1, verbose=False)
    defaults: dict[str, Any] = {"num_classes": 10, "pretrained": "embedded:letters", "lr": 3e-3}
    return kind("test_resnet", **{**defaults, **options})


def checked(
    model: pl.LightningModule, data: pl.LightningDataModule, *stages: Stage, steps: int = 0, **options: Any
) -> dict[str, Check]:
    """Make the checks, and return them by name."""
    checks = PipelineChecks(steps, lambda check: None)
    once = {"limit_train_batches": 1, "limit_val_batches": 0, "max_epochs": -1}
    trainer = pl.Trainer(**{**QUIET, **once, **options}, callbacks=[Stages(list(stages or (ALL,))), checks])
    trainer.fit(model, datamodule=data)
    return {check.name: check for check in checks.found}


def faults(found: dict[str, Check]) -> dict[str, str]:
    """What did not pass, by name."""
    return {name: check.measured for name, check in found.items() if check.status != "passed"}
