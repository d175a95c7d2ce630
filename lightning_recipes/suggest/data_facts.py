"""What a set of images is like before anything looks at their pixels with a network."""

from dataclasses import dataclass

import numpy as np

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.eval_sampler import stratified_order
from lightning_recipes.data.sources.source import ImageSource

__all__ = ["DataFacts", "data_facts"]

LOOKED_AT = 64
"""Images whose sides are read: a median needs no more."""


@dataclass(frozen=True)
class DataFacts:
    """A set of labelled images.

    Attributes:
        train_images: Images to train on.
        val_images: Images to judge by.
        class_counts: Training images of each class.
        side: Median of the shorter sides, in pixels.
    """

    train_images: int
    val_images: int
    class_counts: tuple[int, ...]
    side: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_counts)

    @property
    def imbalance(self) -> float:
        """Images of the largest class for one of the smallest, which has at least one."""
        return max(self.class_counts) / max(1, min(self.class_counts))


def data_facts(data: ImageDataModule) -> DataFacts:
    """Count the images, and read the sides of some of them."""
    splits = data.opened.splits
    return DataFacts(
        train_images=len(splits.train),
        val_images=len(splits.val),
        class_counts=tuple(data.class_counts),
        side=int(np.median(_shorter_sides(splits.train))),
    )


def _shorter_sides(source: ImageSource) -> list[int]:
    some = stratified_order(source.labels, seed=0)[:LOOKED_AT]
    return [min(source.read(int(index)).shape[:2]) for index in some]
