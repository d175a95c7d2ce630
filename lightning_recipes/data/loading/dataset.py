"""Data sets for the loader: a key goes in, a sample comes out that depends on nothing but the key."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightning_recipes.data.batch import Batch, Features
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.data.transforms.image_transforms import Transform
from lightning_recipes.randomness import seed_for

__all__ = ["FeatureDataset", "ImageDataset"]


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
        key = Key(0, key) if isinstance(key, int) else key
        image = self.source.read(key.index, self.min_size)
        tensor = self.transform(image, seed_for("augment", *key.purpose, key.epoch, key.index, key.repeat))
        return Batch(tensor, label_tensor(self.source.labels[key.index]), torch.tensor(key.index))


class FeatureDataset(Dataset[Features]):
    """Features of a split, computed once.

    Args:
        features: (N, F), float32, on the CPU; row i belongs to image i.
        labels: (N,), int64, or (N, C), float32, where an image may have several.
    """

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        self.features, self.labels = features, labels

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def __getitem__(self, key: Key | int) -> Features:
        """Return one sample."""
        index = key if isinstance(key, int) else key.index
        return Features(self.features[index], self.labels[index], torch.tensor(index))

    def __getitems__(self, keys: list[Key] | list[int]) -> Features:
        """Return a whole batch by one gather; PyTorch's loader asks for it where it is there."""
        index = torch.tensor([key if isinstance(key, int) else key.index for key in keys])
        return Features(self.features[index], self.labels[index], index)
