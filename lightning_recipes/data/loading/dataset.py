"""Data sets for the loader: a key goes in, a sample comes out that depends on nothing but the key."""

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from typing_extensions import override

from lightning_recipes.data.batch import Batch, Features, RawBatch, normalise
from lightning_recipes.data.images.decode import checked_image
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.data.transforms.image_transforms import Transform
from lightning_recipes.errors import UserError
from lightning_recipes.randomness import seed_for

__all__ = ["FeatureDataset", "ImageDataset", "ReadableImages", "Samples"]


class ImageDataset(Dataset[Batch]):
    """Reads, augments and normalises images.

    Args:
        source: Where the images are.
        transform: Called with the image and, for a :class:`Key`, the seed of its augmentation.
        min_size: Shorter side, in pixels, below which the decoder need not go for a large picture.
    """

    def __init__(self, source: ImageSource, transform: Transform, *, min_size: int) -> None:
        self.source, self.transform, self.min_size = source, transform, min_size

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, key: Key | int) -> Batch:
        """Return one sample; a plain position counts as epoch 0."""
        key = Key.of(key)
        given, label = self.transform.input, label_tensor(self.source.labels[key.index])
        pixels, index = self.sample(key)
        return Batch(normalise(pixels, given.mean, given.std), label, torch.tensor(index))

    def __getitems__(self, keys: Sequence[Key | int]) -> "Samples":
        """Return several samples; PyTorch's loader asks for them so where it can."""
        return Samples(self, keys)

    def sample(self, key: Key) -> tuple[Tensor, int]:
        """Return one image before it is normalised, and its index."""
        return self.pixels(key), key.index

    def pixels(self, key: Key) -> Tensor:
        """Return one image before it is normalised, (C, size, size), uint8."""
        image, channels = self.source.read(key.index, self.min_size), len(self.transform.input.mean)
        image = checked_image(image, channels, lambda: str(self.source.paths[key.index]))
        return self.transform.pixels(image, seed_for("augment", *key.purpose, key.epoch, key.index, key.repeat))


class ReadableImages(ImageDataset):
    """Goes on where an image cannot be read: it is black, and has the bitwise complement of its index, ``~i < 0``."""

    @override
    def sample(self, key: Key) -> tuple[Tensor, int]:
        """Return one image, or a black one, as of an index that is a complement already."""
        try:
            if key.index < 0:
                return self._black(), key.index
            return super().sample(key)
        except UserError:
            return self._black(), ~key.index

    def _black(self) -> Tensor:
        given = self.transform.input
        return torch.zeros(len(given.mean), given.image_size, given.image_size, dtype=torch.uint8)


class Samples(Sequence[Batch]):
    """Samples of a data set, each made when it is asked for: one by one, or all as a batch.

    A loader of somebody's own over the same data set collates samples; ours takes the batch.

    Args:
        images: The data set.
        keys: Which of its images.
    """

    def __init__(self, images: ImageDataset, keys: Sequence[Key | int]) -> None:
        self.images, self.keys = images, [Key.of(key) for key in keys]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.keys)

    @overload
    def __getitem__(self, position: int) -> Batch: ...
    @overload
    def __getitem__(self, position: slice) -> "Samples": ...
    def __getitem__(self, position: int | slice) -> "Batch | Samples":
        """Return one sample, or some of them."""
        if isinstance(position, slice):
            return Samples(self.images, self.keys[position])
        return self.images[self.keys[position]]

    def raw(self) -> RawBatch:
        """Return all as a batch that is not normalised yet."""
        samples, given = [self.images.sample(key) for key in self.keys], self.images.transform.input
        # By rows, as pixels lie in a picture, which is a plain copy; into shared memory, where a worker does it.
        pixels: Tensor = default_collate([image.permute(1, 2, 0) for image, _ in samples])
        labels = label_tensor([self.images.source.labels[key.index] for key in self.keys])
        indices = torch.tensor([index for _, index in samples])
        return RawBatch(pixels.permute(0, 3, 1, 2), labels, indices, given.mean, given.std)

    def normalised(self) -> Batch:
        """Return all as a batch."""
        return self.raw().normalised()


class FeatureDataset(Dataset[Features]):
    """Features of a split, computed once.

    Args:
        features: (N, F), or (N, ..., F) where the head pools, float32, on the CPU; row i belongs to image i.
        labels: (N,), int64, or (N, C), float32, where an image may have several.
        views: Of each image: features are (V N, F), those of the first view of all images first.
    """

    def __init__(self, features: Tensor, labels: Tensor, views: int = 1) -> None:
        self.features, self.labels, self.views = features, labels, views

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, key: Key | int) -> Features:
        """Return one sample, of the view whose turn it is."""
        return Features(*(part[0] for part in self.__getitems__([Key.of(key)])))

    def __getitems__(self, keys: Sequence[Key] | Sequence[int]) -> Features:
        """Return a whole batch by one gather; PyTorch's loader asks for it where it is there."""
        known = [Key.of(key) for key in keys]
        index = torch.tensor([key.index for key in known])
        if self.views == 1:
            return Features(self.features[index], self.labels[index], index)
        view = torch.tensor([(key.epoch + key.repeat) % self.views for key in known])
        return Features(self.features[view * len(self) + index], self.labels[index], index)
