"""Another module or data module of the same arguments."""

from typing import Any, TypeVar

import lightning.pytorch as pl

from lightning_recipes.compat.lightning import ADDED_BY_LIGHTNING

__all__ = ["made_again"]

Made = TypeVar("Made", bound=pl.LightningModule | pl.LightningDataModule)


def made_again(one: Made, **changed: Any) -> Made:
    """Return a new object of the class of one, with its arguments and those that change."""
    own = {key: value for key, value in one.hparams.items() if key not in ADDED_BY_LIGHTNING}
    return type(one)(**{**own, **changed})
