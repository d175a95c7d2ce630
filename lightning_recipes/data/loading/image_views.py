"""Several views of each image at once: each is a draw of its own, by a key of its own."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch.utils.data import Dataset

from lightning_recipes.data.batch import Batch, RawBatch
from lightning_recipes.data.loading.dataset import ImageDataset, Samples
from lightning_recipes.data.loading.device_images import DeviceImages
from lightning_recipes.data.loading.train_sampler import Key

__all__ = ["ImageViews", "LearnsFromViews"]


@runtime_checkable
class LearnsFromViews(Protocol):
    """A module that compares views of an image.

    Attributes:
        views_per_image: Of each image in a training step, >= 1.
    """

    views_per_image: int


class ImageViews(Dataset[Batch]):
    """Gives images (N, V, C, S, S): V augmented views of each, the evaluation's view before them where there is one.

    The first is the view that a training on one view would see: each further one has a key with its number.

    Args:
        drawn: The images as training sees them.
        views: V, >= 1.
        seen: The same images as evaluation sees them (default: not given along).
        purpose: Words for what they are drawn for (default: training).
    """

    def __init__(
        self,
        drawn: ImageDataset | DeviceImages,
        views: int,
        *,
        seen: ImageDataset | DeviceImages | None = None,
        purpose: tuple[str, ...] = (),
    ) -> None:
        self.drawn, self.views, self.seen, self.purpose = drawn, views, seen, purpose

    def __len__(self) -> int:
        """Number of images."""
        return len(self.drawn)

    def __getitem__(self, key: Key | int) -> Batch:
        """Return one sample, its images (V, C, S, S)."""
        image, label, index = (column[0] for column in self.__getitems__([key]).normalised())
        return Batch(image, label, index)

    def __getitems__(self, keys: Sequence[Key | int]) -> RawBatch:
        """Return a whole batch; PyTorch's loader asks for it where it is there."""
        parts = [] if self.seen is None else [_raw(self.seen.__getitems__(keys))]
        full = [Key.of(key) for key in keys]
        parts += [
            _raw(self.drawn.__getitems__([self._of_view(key, view) for key in full])) for view in range(self.views)
        ]
        return parts[0]._replace(images=torch.stack([part.images for part in parts], dim=1))

    def _of_view(self, key: Key, view: int) -> Key:
        number = ("view", view) if view else ()
        return key._replace(purpose=(*key.purpose, *self.purpose, *number))


def _raw(batch: Samples | RawBatch) -> RawBatch:
    return batch.raw() if isinstance(batch, Samples) else batch
