"""Cached activations: the frozen backbone runs once over a split, the head then trains on what it gave.

Source: the fast.ai course ("precomputed activations"). Right only where the backbone is frozen and in eval mode; the
plan sees to that. What augmentation draws is drawn once, too: of as many views of each image as are asked for.
"""

import logging
import math
import os
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset, Samples
from lightning_recipes.data.loading.free_memory import MOST, free_memory, in_words
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.errors import UserError

__all__ = ["Extract", "compute_features"]

log = logging.getLogger(__name__)

Extract = Callable[[Tensor], Tensor]
"""From images (N, 3, H, W) on the CPU to features (N, F) on the CPU, float32."""

GATHERED = 4096  # features that processes exchange at a time


def compute_features(
    dataset: ImageDataset,
    extract: Extract,
    *,
    batch_size: int,
    num_workers: int,
    views: int | None = None,
    world_size: int = 1,
    rank: int = 0,
    device: torch.device | str = "cpu",
) -> FeatureDataset:
    """Return the features of all images, each rank computing its share.

    What memory has no room for lies in a file without a name in the temporary folder (``TMPDIR``), read through memory.

    Args:
        dataset: With a transform that draws nothing, or with ``views``.
        extract: The frozen backbone.
        batch_size: Images a batch; part of the result's last bits, as the kernels sum in another order for another.
        num_workers: Loader processes; not part of the result.
        views: Of each image, as the first so many epochs would draw them; None: the image as it is.
        world_size: Number of processes that share the work.
        rank: This process.
        device: Where the processes exchange tensors.

    Raises:
        UserError: Neither the memory nor the temporary folder has room for them.
    """
    images, total = len(dataset), len(dataset) * (views or 1)
    rows = -(-total // world_size)
    # Ranks that come out short begin again from the front: equal lengths, and no rank is without an image.
    mine = [divmod((rank + row * world_size) % total, images) for row in range(rows)]
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=[Key(view, index) for view, index in mine],
        num_workers=num_workers,
        generator=torch.Generator(),
        collate_fn=Samples.normalised,  # type: ignore[arg-type]  # which the data set gives for a list
    )
    features, done = torch.empty(0), 0
    for batch in loader:
        found = extract(batch.images)
        if not done:
            features = _room_for(rows, *found.shape[1:])
        features[done : done + len(found)] = found
        done += len(found)
    if world_size > 1:
        features = _gathered(features, total, world_size, device)
    return FeatureDataset(features, label_tensor(dataset.source.labels), views or 1)


def _room_for(*shape: int) -> Tensor:
    """Return an empty tensor, float32, in memory or else on disk."""
    size, free = 4 * math.prod(shape), free_memory(torch.device("cpu"))
    if free is None or size <= MOST * free:
        return torch.empty(shape)
    # All of it at once: a page that the disk has no room for would end the process that writes it.
    try:
        with tempfile.NamedTemporaryFile(prefix="lightning-recipes-") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            features = torch.from_file(file.name, shared=True, size=math.prod(shape)).reshape(shape)
    except (OSError, AttributeError) as error:  # no room, or no such call on this system
        raise UserError(
            f"cache_features: features take {in_words(size)}, for which neither memory nor {tempfile.gettempdir()} has "
            "room; leave cache_features out, take fewer feature_views, or set TMPDIR"
        ) from error
    log.info("cache_features: features take %s in %s; memory has no room", in_words(size), tempfile.gettempdir())
    return features


def _gathered(mine: Tensor, total: int, world_size: int, device: torch.device | str) -> Tensor:
    """Return the features of all ranks in the order of the images; rank r has every world-size-th from r on."""
    rows = len(mine)
    features = _room_for(rows * world_size, *mine.shape[1:])
    for begin in range(0, rows, GATHERED):
        part = mine[begin : begin + GATHERED].to(device)
        parts = [torch.empty_like(part) for _ in range(world_size)]
        torch.distributed.all_gather(parts, part)
        together = torch.stack(parts, dim=1).flatten(0, 1)
        features[begin * world_size : begin * world_size + len(together)] = together.cpu()
    return features[:total]
