"""The data of a trainer, where it is ours."""

import lightning.pytorch as pl

from lightning_recipes.data.datamodule import ImageDataModule

__all__ = ["image_data_of"]


def image_data_of(trainer: pl.Trainer | None) -> ImageDataModule | None:
    """Return a trainer's data module, which says more than Lightning asks of one; None of one's own, or of loaders."""
    data = getattr(trainer, "datamodule", None)  # Lightning sets it as a trainer begins
    return data if isinstance(data, ImageDataModule) else None
