"""``lightning-recipes pretrain``: train a backbone without labels, as ``fit`` trains a classifier."""

from collections.abc import Sequence

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.cli.commands.fit import Fit
from lightning_recipes.data.pretraining import PretrainingDataModule
from lightning_recipes.modules.pretraining.module import PretrainingModule

__all__ = ["Pretrain"]


class Pretrain(Fit):
    """Everything is as in a fit but what is learned, and from what."""

    name = "pretrain"
    needs = "--config RECIPE"
    default_data = PretrainingDataModule
    used_most = (
        "config", "run_dir", "ckpt_path", "seed_everything", "data.root", "data.unlabelled", "data.images_per_class",
        "data.image_size", "data.batch_size", "data.augment", "model.backbone", "model.method", "model.lr",
        "model.optimizer", "model.schedule", "trainer.callbacks", "trainer.max_epochs", "trainer.accelerator",
        "trainer.devices", "trainer.precision", "trainer.fast_dev_run",
    )  # fmt: skip

    @override
    @classmethod
    def model_kind(cls, words: Sequence[str]) -> type[pl.LightningModule]:
        """Return the module that learns without labels."""
        return PretrainingModule
