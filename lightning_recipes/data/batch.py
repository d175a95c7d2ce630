"""What a batch is: images, or the stored features of a frozen backbone in their place."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Batch", "Features"]


class Batch(NamedTuple):
    """Images as they come from the loader.

    Attributes:
        images: (N, 3, H, W), float32, normalised.
        labels: (N,), int64; -1 where the label is not known.
        indices: (N,), int64, positions in the split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


class Features(NamedTuple):
    """Features in the place of images; told from a :class:`Batch` by its type.

    Attributes:
        features: (N, F), float32, what the frozen backbone gives for the images.
        labels: (N,), int64.
        indices: (N,), int64, positions in the split.
    """

    features: Tensor
    labels: Tensor
    indices: Tensor
