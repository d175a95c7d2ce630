"""A whole set of images where the network computes, augmented there in batches."""

import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_recipes.data.batch import Batch, RawBatch
from lightning_recipes.data.loading.dataset import ImageDataset, Samples
from lightning_recipes.data.loading.free_memory import MOST, free_memory, in_words
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.data.transforms.batch_views import DRAWS, FLIP, LATER_DRAWS, draw_views, draws_more
from lightning_recipes.data.transforms.frame import frame_of
from lightning_recipes.data.transforms.policies import ALTERNATE, Policy
from lightning_recipes.errors import UserError
from lightning_recipes.randomness import uniforms_for

__all__ = ["DeviceImages", "keep_on_device"]

log = logging.getLogger(__name__)

AT_ONCE = 256  # images that are read together


class DeviceImages(Dataset[Batch]):
    """Images of a split on a device, as evaluation sees them.

    Args:
        pixels: (N, C, S, S), uint8.
        images: The data set that they are of.
        policy: What happens to them as they are drawn (default: nothing).
    """

    def __init__(self, pixels: Tensor, images: ImageDataset, policy: Policy | None = None) -> None:
        self.pixels, self.images, self.policy = pixels, images, policy
        self.labels = label_tensor(images.source.labels).to(pixels.device)
        self.fill = frame_of(images.transform.input).fill.to(pixels.device)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    def __getitem__(self, key: Key | int) -> Batch:
        """Return one sample, normalised; a plain position counts as epoch 0."""
        image, label, index = (column[0] for column in self.__getitems__([key]).normalised())
        return Batch(image, label, index)

    def __getitems__(self, keys: Sequence[Key | int]) -> RawBatch:
        """Return a whole batch on the device, all of one epoch and purpose; the caller does not wait for it."""
        full = [Key.of(key) for key in keys]
        device, given = self.pixels.device, self.images.transform.input
        indices = _sent(torch.tensor([key.index for key in full]), device)
        pixels = self.pixels[indices]
        if self.policy is not None:
            images = len(self)  # asked of a tensor, which takes longer than the rest of a key
            counted = np.array([key.index + key.repeat * images for key in full])
            words = ("augment", *full[0].purpose, full[0].epoch)
            numbers = uniforms_for(*words, indices=counted, columns=DRAWS)
            if self.policy.flip == ALTERNATE:
                first = uniforms_for("alternate flip", *full[0].purpose, indices=counted, columns=1)[:, 0]
                numbers[:, FLIP] = (first + full[0].epoch / 2) % 1  # below a half, as what is mirrored is
            if draws_more(self.policy):
                later = uniforms_for("augment later", *words[1:], indices=counted, columns=LATER_DRAWS)
                numbers = np.concatenate([numbers, later], axis=1)
            pixels = draw_views(self.policy, pixels, _sent(torch.from_numpy(numbers), device), self.fill)
        return RawBatch(pixels, self.labels[indices], indices, given.mean, given.std)


def keep_on_device(images: ImageDataset, device: torch.device, *, num_workers: int = 0) -> Tensor:
    """Read all images of a data set onto a device, (N, C, S, S), uint8; says before how much memory they take.

    Args:
        images: As evaluation sees them.
        device: Where to.
        num_workers: Processes that read; not part of the result.

    Raises:
        UserError: There is no room for them.
    """
    given = images.transform.input
    shape = (len(images), len(given.mean), given.image_size, given.image_size)
    _refuse_too_many(math.prod(shape), shape[0], device)
    loader: DataLoader[Batch] = DataLoader(
        images,
        batch_size=AT_ONCE,
        num_workers=num_workers,
        generator=torch.Generator(),
        collate_fn=Samples.raw,  # type: ignore[arg-type]  # which the data set gives for a list
    )
    pixels, start = torch.empty(shape, dtype=torch.uint8, device=device), 0
    for batch in loader:
        pixels[start : start + len(batch.images)] = batch.images
        start += len(batch.images)
    return pixels


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """Return values on a device, without a wait for what it is still busy with."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _refuse_too_many(needed: int, images: int, device: torch.device) -> None:
    free = free_memory(device)
    if free is not None and needed > MOST * free:
        raise UserError(
            f"data.cache: device needs {in_words(needed)} for {images:,} images, and {device} has {in_words(free)} "
            "free; leave it out, or give a smaller data.image_size"
        )
    log.info("data.cache: %s images take %s on %s", f"{images:,}", in_words(needed), device)
