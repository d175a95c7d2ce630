"""The smallest real thing that has all of it: a tiny timm backbone, real digits, two stages."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.stages.plan import Stage

# The same as a recipe, of which ``fit`` on the command line makes a run in two seconds.
SMALL = """
seed_everything: 3
data: {root: "sklearn:digits", val_fraction: 0.05, images_per_class: 4, image_size: 32, batch_size: 10, num_workers: 0}
model: {backbone: test_resnet, pretrained: "embedded:letters", freeze_norm_stats: true}
gradcam: {images: 2}
trainer:
  accelerator: cpu
  devices: 1
  logger: false
  enable_progress_bar: false
  callbacks:
    - class_path: lightning_recipes.Stages
      init_args:
        stages:
          - {name: head, epochs: 2, train: head, lr: 1.0e-2, cache_features: true}
          - {name: all, epochs: 1, lr: 1.0e-3, lr_decay: 0.5, schedule: one_cycle}
"""
# Where the weights are looked at, and not what is drawn and analysed of them at the end.
UNREPORTED = ["--gradcam.images", "0", "--errors.run", "false"]

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "deterministic": True,
}
GPU: dict[str, Any] = {"accelerator": "gpu", "devices": 1}


def digits(**options: Any) -> ImageDataModule:
    """Four digits of each class at 32 px, four batches an epoch."""
    defaults = {"val_fraction": 0.02, "images_per_class": 4, "image_size": 32, "batch_size": 10, "num_workers": 0}
    return ImageDataModule("sklearn:digits", **{**defaults, **options})


def classifier(**options: Any) -> ImageClassifier:
    """A from-scratch ``test_resnet`` (0.37 M parameters) with stochastic depth, so that a step draws something."""
    torch.manual_seed(1)
    defaults: dict[str, Any] = {"num_classes": 10, "pretrained": False, "backbone_kwargs": {"drop_path_rate": 0.2}}
    return ImageClassifier("test_resnet", **{**defaults, **options})


def two_stages(*, cache_features: bool = True) -> Stages:
    """Head for one epoch, then all layers for two."""
    return Stages(
        [
            Stage("head", epochs=1, train="head", lr=0.01, cache_features=cache_features),
            Stage("all", epochs=2, lr=3e-3, lr_decay=0.5, schedule="one_cycle"),
        ]
    )


def fit(
    model: pl.LightningModule,
    data: pl.LightningDataModule,
    *callbacks: pl.Callback,
    seed: int = 1,
    ckpt_path: Path | str | None = None,
    **options: Any,
) -> tuple[pl.Trainer, str]:
    """Train, and return the trainer and the fingerprint of the weights."""
    pl.seed_everything(seed, verbose=False)
    trainer = pl.Trainer(**{**QUIET, **options}, callbacks=list(callbacks))
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path)
    return trainer, weights_sha256(model)


class KeepEvery(LastCheckpoint):
    """Keeps the checkpoint of every step under its own name, as if each had been the last before a kill."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(every_n_train_steps=1, dirpath=str(folder))
        self.folder, self.name = folder, name

    @override
    def save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.folder / f"{self.name}-{trainer.global_step:02d}.ckpt")
