"""A few of the images, for whoever looks at a recipe before it trains on all of them."""

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.eval_sampler import stratified_order
from lightning_recipes.data.made_again import made_again
from lightning_recipes.data.sources.open import OpenedData
from lightning_recipes.data.sources.source import Splits, Subset

__all__ = ["some_images"]


def some_images(data: ImageDataModule, *, train: int, val: int) -> ImageDataModule:
    """Return a data module of some of the images, of each class its share; smaller classes are not drawn again.

    Args:
        data: Of all images.
        train: Training images, at most as many as there are.
        val: Validation images, likewise.
    """
    made, splits = made_again(data, balance=False), data.opened.splits
    some = [
        Subset(source, stratified_order(source.labels, data.hparams["split_seed"])[:count])
        for source, count in ((splits.train, train), (splits.val, val))
    ]
    made.opened = OpenedData(Splits(*some))
    return made
