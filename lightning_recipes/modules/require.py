"""What a callback asks of the module that it is used with."""

import lightning.pytorch as pl

from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier

__all__ = ["require_classifier"]


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
