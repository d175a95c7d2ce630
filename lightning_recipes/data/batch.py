"""What a batch is: images, or the stored features of a frozen backbone in their place."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["Batch", "Features", "MixedBatch", "batch_length", "split_batch"]


class Batch(NamedTuple):
    """Images as they come from the loader.

    Attributes:
        images: (N, 3, H, W), float32, normalised.
        labels: (N,), int64, -1 where the label is not known; or (N, C), float32 of 0 and 1, of several.
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


class MixedBatch(NamedTuple):
    """Images that are made of two; told from a :class:`Batch` by its type.

    Attributes:
        images: (N, 3, H, W), float32, normalised.
        labels: (N,), int64, of the first image of each pair.
        indices: (N,), int64, likewise.
        partners: (N,), int64, labels of the second.
        share: Of the first image in the mixture, in [0, 1]; one for the whole batch.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    partners: Tensor
    share: float


def batch_length(batch: Any) -> int:
    """Return how many images a batch has: the length of its first tensor.

    Args:
        batch: One of the above, a tensor, or a tuple, list or mapping with tensors, as a loader of one's own gives it.
    """
    if isinstance(batch, Tensor):
        return len(batch)
    values = batch.values() if isinstance(batch, Mapping) else batch
    return next(len(value) for value in values if isinstance(value, Tensor))


def split_batch(batch: Any, parts: int) -> list[Any]:
    """Return a batch in consecutive parts of nearly equal size, fewer where it has fewer images.

    Args:
        batch: One of the above, or a tensor, tuple, list or mapping; what is no tensor is in every part.
        parts: >= 1.
    """
    if parts == 1:
        return [batch]
    if isinstance(batch, Tensor):
        return list(batch.chunk(parts))
    if isinstance(batch, Mapping):
        return [dict(zip(batch, values, strict=True)) for values in split_batch(list(batch.values()), parts)]
    chunks = [value.chunk(parts) if isinstance(value, Tensor) else None for value in batch]
    count = min(len(chunk) for chunk in chunks if chunk is not None)
    split = [[value if c is None else c[i] for value, c in zip(batch, chunks, strict=True)] for i in range(count)]
    return [type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values) for values in split]
