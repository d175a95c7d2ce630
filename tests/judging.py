"""Trainings with everything that reports what a run reached."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

import lightning_recipes as lr
from lightning_recipes import BestCheckpoint, ErrorAnalysis, LastCheckpoint, RunSummary, Stage, Stages
from tests.small import classifier, digits, fit

HEAD = Stage("head", epochs=1, train="head", lr=0.01)
ALL = Stage("all", epochs=2, lr=3e-3)
GOOD: dict[str, Any] = {"pretrained": "embedded:letters", "backbone_kwargs": None}
BAD_RATE = 3.0  # makes everything after it worse


def reporting(folder: Path) -> list[pl.Callback]:
    return [ErrorAnalysis(), RunSummary(str(folder), "recipe"), BestCheckpoint(), LastCheckpoint()]


def train(
    folder: Path, stages: list[Stage], *callbacks: pl.Callback, model: lr.ImageClassifier | None = None, **options: Any
) -> lr.ImageClassifier:
    """Fit with everything that reports, and return the module."""
    module = model or classifier(**GOOD)
    data = options.pop("data", None) or digits(val_fraction=0.1)
    settings = {"max_epochs": -1, "default_root_dir": str(folder), "enable_checkpointing": True, **options}
    fit(module, data, Stages(stages), *callbacks, *reporting(folder), **settings)
    return module


def summary(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return loaded
