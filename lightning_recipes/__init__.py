"""Recipes for image classifiers: freeze-then-unfreeze transfer learning with timm on PyTorch Lightning.

Public names are imported when they are first used: importing Lightning takes seconds, and ``--help`` needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightning_recipes._version import __version__

if TYPE_CHECKING:
    from lightning_recipes.callbacks.activation_regularization import ActivationRegularization
    from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
    from lightning_recipes.callbacks.checkpoints import LastCheckpoint
    from lightning_recipes.callbacks.early_stopping import EarlyStopping
    from lightning_recipes.callbacks.ema import EMA
    from lightning_recipes.callbacks.error_analysis import ErrorAnalysis
    from lightning_recipes.callbacks.gradcam import MisclassifiedGradCAM
    from lightning_recipes.callbacks.gradient_clipping import GradientClipping
    from lightning_recipes.callbacks.gradient_noise import GradientNoise
    from lightning_recipes.callbacks.l1 import L1
    from lightning_recipes.callbacks.lr_finder import LearningRateFinder
    from lightning_recipes.callbacks.max_norm import MaxNorm
    from lightning_recipes.callbacks.micro_batches import MicroBatches
    from lightning_recipes.callbacks.mixing import Mixing
    from lightning_recipes.callbacks.on_plateau import OnPlateau
    from lightning_recipes.callbacks.recording.run_recorder import RunRecorder
    from lightning_recipes.callbacks.recording.run_summary import RunSummary
    from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
    from lightning_recipes.callbacks.stages import Stages
    from lightning_recipes.callbacks.stochastic_depth import StochasticDepth
    from lightning_recipes.callbacks.wandb_tracker import WandbTracker
    from lightning_recipes.data.datamodule import ImageDataModule
    from lightning_recipes.errors import UserError
    from lightning_recipes.evaluation.prediction import Prediction
    from lightning_recipes.modules.classifier import ImageClassifier
    from lightning_recipes.modules.ensemble import EnsembleClassifier
    from lightning_recipes.modules.load import load
    from lightning_recipes.stages.plan import Plan, Stage

__all__ = [
    "EMA",
    "L1",
    "ActivationRegularization",
    "BestCheckpoint",
    "EarlyStopping",
    "EnsembleClassifier",
    "ErrorAnalysis",
    "GradientClipping",
    "GradientNoise",
    "ImageClassifier",
    "ImageDataModule",
    "LastCheckpoint",
    "LearningRateFinder",
    "MaxNorm",
    "MicroBatches",
    "MisclassifiedGradCAM",
    "Mixing",
    "OnPlateau",
    "Plan",
    "Prediction",
    "RunRecorder",
    "RunSummary",
    "SnapshotEnsemble",
    "Stage",
    "Stages",
    "StochasticDepth",
    "UserError",
    "WandbTracker",
    "__version__",
    "load",
]

_HOMES = {
    "ActivationRegularization": "callbacks.activation_regularization",
    "BestCheckpoint": "callbacks.best_checkpoint",
    "EMA": "callbacks.ema",
    "EarlyStopping": "callbacks.early_stopping",
    "EnsembleClassifier": "modules.ensemble",
    "ErrorAnalysis": "callbacks.error_analysis",
    "GradientClipping": "callbacks.gradient_clipping",
    "GradientNoise": "callbacks.gradient_noise",
    "ImageClassifier": "modules.classifier",
    "ImageDataModule": "data.datamodule",
    "L1": "callbacks.l1",
    "LastCheckpoint": "callbacks.checkpoints",
    "LearningRateFinder": "callbacks.lr_finder",
    "MaxNorm": "callbacks.max_norm",
    "MicroBatches": "callbacks.micro_batches",
    "MisclassifiedGradCAM": "callbacks.gradcam",
    "Mixing": "callbacks.mixing",
    "OnPlateau": "callbacks.on_plateau",
    "Plan": "stages.plan",
    "Prediction": "evaluation.prediction",
    "RunRecorder": "callbacks.recording.run_recorder",
    "RunSummary": "callbacks.recording.run_summary",
    "SnapshotEnsemble": "callbacks.snapshots",
    "Stage": "stages.plan",
    "Stages": "callbacks.stages",
    "StochasticDepth": "callbacks.stochastic_depth",
    "WandbTracker": "callbacks.wandb_tracker",
    "UserError": "errors",
    "load": "modules.load",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lightning_recipes' has no attribute '{name}'")
    return getattr(import_module(f"lightning_recipes.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
