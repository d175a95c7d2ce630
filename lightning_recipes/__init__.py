"""Recipes for image classifiers: freeze-then-unfreeze transfer learning with timm on PyTorch Lightning.

Public names are imported when they are first used: importing Lightning takes seconds, and ``--help`` needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightning_recipes._version import __version__

if TYPE_CHECKING:
    from lightning_recipes.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
    from lightning_recipes.callbacks.lr_finder import LearningRateFinder
    from lightning_recipes.callbacks.on_plateau import OnPlateau
    from lightning_recipes.callbacks.run_summary import RunSummary
    from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
    from lightning_recipes.callbacks.stages import Stages
    from lightning_recipes.classifier import ImageClassifier
    from lightning_recipes.data.datamodule import ImageDataModule
    from lightning_recipes.ensemble import EnsembleClassifier
    from lightning_recipes.errors import UserError
    from lightning_recipes.plan import Plan, Stage

__all__ = [
    "BestCheckpoint",
    "EnsembleClassifier",
    "ImageClassifier",
    "ImageDataModule",
    "LastCheckpoint",
    "LearningRateFinder",
    "OnPlateau",
    "Plan",
    "RunSummary",
    "SnapshotEnsemble",
    "Stage",
    "Stages",
    "UserError",
    "__version__",
]

_HOMES = {
    "BestCheckpoint": "callbacks.checkpoints",
    "EnsembleClassifier": "ensemble",
    "ImageClassifier": "classifier",
    "ImageDataModule": "data.datamodule",
    "LastCheckpoint": "callbacks.checkpoints",
    "LearningRateFinder": "callbacks.lr_finder",
    "OnPlateau": "callbacks.on_plateau",
    "Plan": "plan",
    "RunSummary": "callbacks.run_summary",
    "SnapshotEnsemble": "callbacks.snapshots",
    "Stage": "plan",
    "Stages": "callbacks.stages",
    "UserError": "errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lightning_recipes' has no attribute '{name}'")
    return getattr(import_module(f"lightning_recipes.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
