"""A pretraining that takes a second: a tiny backbone, digits, four batches an epoch."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

import lightning_recipes as lr
from tests.small import QUIET

__all__ = ["images", "module", "pretrain"]

METHODS: dict[str, Any] = {
    "simclr": {"name": "simclr", "hidden": 64, "width": 32},
    "barlow_twins": {"name": "barlow_twins", "hidden": 64, "width": 32},
    "simsiam": {"name": "simsiam", "hidden": 64, "width": 32, "bottleneck": 16},
    "siamese": {"name": "siamese", "width": 32},
    "denoising": {"name": "denoising", "noise": 0.5, "mask": 0.25, "patch": 8},
}


def images(**options: Any) -> lr.PretrainingDataModule:
    """All digits but 36 to learn from, four labels a class."""
    defaults = {"val_fraction": 0.02, "images_per_class": 4, "image_size": 32, "batch_size": 32, "num_workers": 0}
    return lr.PretrainingDataModule(**{"root": "sklearn:digits", **defaults, **options})


def module(method: Any = "simclr", **options: Any) -> lr.PretrainingModule:
    """A ``test_resnet`` with a method's layers behind it."""
    torch.manual_seed(1)
    defaults: dict[str, Any] = {"num_classes": 10, "image_size": 32, "class_names": [str(digit) for digit in range(10)]}
    backbone = options.pop("backbone", "test_resnet")
    return lr.PretrainingModule(backbone, method=METHODS.get(str(method), method), **{**defaults, **options})


def pretrain(
    network: lr.PretrainingModule,
    data: lr.PretrainingDataModule,
    folder: Path,
    *callbacks: pl.Callback,
    epochs: int = 2,
    ckpt_path: Path | None = None,
    **options: Any,
) -> pl.Trainer:
    """Train four batches an epoch."""
    pl.seed_everything(1, verbose=False)
    settings = {**QUIET, "enable_checkpointing": True, "limit_train_batches": 4, **options}
    trainer = pl.Trainer(**settings, max_epochs=epochs, default_root_dir=folder, callbacks=list(callbacks))
    trainer.fit(network, datamodule=data, ckpt_path=ckpt_path)
    return trainer
