"""What a batch is: images, or the stored features of a frozen backbone in their place."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Batch", "Features", "MixedBatch", "RawBatch", "batch_length", "displayed", "normalise", "split_batch"]


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return images as the network takes them, float32, channel after channel in memory.

    Args:
        pixels: (C, H, W) or (N, C, H, W), uint8, on any device.
        mean: C values, of pixels from 0 to 1.
        std: Likewise.
    """
    images = pixels.to(torch.float32, memory_format=torch.contiguous_format)  # by channels
    return images.sub_(_column(tuple(mean), pixels.device)).div_(_column(tuple(std), pixels.device))


@lru_cache
def _column(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return values for pixels from 0 to 255, (C, 1, 1); kept, since a device waits for each tensor that is sent."""
    with torch.inference_mode(mode=False):
        return torch.tensor([255.0 * value for value in values], device=device)[:, None, None]


def displayed(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return images as they can be looked at, (N, H, W, 3), float32 from 0 to 1 where they were normalised so.

    Of other channels than three the first three are shown as red, green and blue; of one or two, the first as grey.

    Args:
        images: (N, C, H, W), normalised, on the CPU.
        mean: C values, of the normalisation.
        std: Likewise.
    """
    m, s = (torch.tensor(values)[:, None, None] for values in (mean, std))
    channels = images * s + m
    return (channels[:, :3] if channels.shape[1] >= 3 else channels[:, :1].expand(-1, 3, -1, -1)).permute(0, 2, 3, 1)


class Batch(NamedTuple):
    """Images as they come from the loader.

    Attributes:
        images: (N, C, H, W), float32, normalised.
        labels: (N,), int64, -1 where the label is not known; or (N, C), float32 of 0 and 1, of several.
        indices: (N,), int64, positions in the split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


class RawBatch(NamedTuple):
    """Images on their way to where the network is, in a quarter of the memory; told from a :class:`Batch` by its type.

    Attributes:
        images: (N, C, H, W), uint8.
        labels: As of a :class:`Batch`.
        indices: Likewise.
        mean: Of the normalisation, C values of pixels from 0 to 1.
        std: Likewise.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalised(self) -> Batch:
        """Return the images as the network takes them."""
        return Batch(normalise(self.images, self.mean, self.std), self.labels, self.indices)


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
        images: (N, C, H, W), float32, normalised.
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
