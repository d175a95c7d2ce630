"""What a callback asks of the module that it is used with."""

import lightning.pytorch as pl

from lightning_recipes.classifier import ImageClassifier
from lightning_recipes.errors import UserError

__all__ = ["require_classifier", "require_figure"]


def require_classifier(module: pl.LightningModule, who: str) -> ImageClassifier:
    """Return the module if it is one of ours.

    Args:
        module: Of the run.
        who: Asks for it, for the error.

    Raises:
        UserError: It is somebody else's.
    """
    if not isinstance(module, ImageClassifier):
        raise UserError(f"{who}: needs an ImageClassifier or a subclass of it, not {type(module).__name__}")
    return module


def require_figure(trainer: pl.Trainer, name: str, who: str) -> float:
    """Return a logged figure.

    Args:
        trainer: Of the run, at the end of an epoch.
        name: Of the figure.
        who: Watches it, for the error.

    Raises:
        UserError: It is not logged.
    """
    if name not in trainer.callback_metrics:
        known = ", ".join(sorted(trainer.callback_metrics))
        raise UserError(f"{who}.monitor: '{name}' is not logged; there are {known}")
    return float(trainer.callback_metrics[name])
