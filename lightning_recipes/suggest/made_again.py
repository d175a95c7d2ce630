"""Another module or data module of the same arguments."""

from typing import Any, TypeVar

import lightning.pytorch as pl

__all__ = ["made_again"]

Made = TypeVar("Made", bound=pl.LightningModule | pl.LightningDataModule)


def made_again(one: Made, **changed: Any) -> Made:
    """Return a new object of the class of one, with its arguments and those that change."""
    own = {key: value for key, value in one.hparams.items() if not key.startswith("_")}  # which LightningCLI adds
    return type(one)(**{**own, **changed})
