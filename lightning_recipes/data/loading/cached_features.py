"""Cached activations: the frozen backbone runs once over a split, the head then trains on what it gave.

Source: the fast.ai course ("precomputed activations"). Right only where the backbone is frozen, in eval mode, and sees
no random augmentation; the plan sees to that.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset, Samples
from lightning_recipes.data.sources.labels import label_tensor

__all__ = ["Extract", "compute_features"]

Extract = Callable[[Tensor], Tensor]
"""From images (N, 3, H, W) on the CPU to features (N, F) on the CPU, float32."""


def compute_features(
    dataset: ImageDataset,
    extract: Extract,
    *,
    batch_size: int,
    num_workers: int,
    world_size: int = 1,
    rank: int = 0,
    device: torch.device | str = "cpu",
) -> FeatureDataset:
    """Return the features of all images, each rank computing its share.

    Args:
        dataset: With a transform that draws nothing.
        extract: The frozen backbone.
        batch_size: Images a batch; part of the result's last bits, as the kernels sum in another order for another.
        num_workers: Loader processes; not part of the result.
        world_size: Number of processes that share the work.
        rank: This process.
        device: Where the processes exchange tensors.
    """
    total, rows = len(dataset), -(-len(dataset) // world_size)
    # Ranks that come out short begin again from the front: equal lengths, and no rank is without an image.
    mine = [(rank + row * world_size) % total for row in range(rows)]
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=mine,
        num_workers=num_workers,
        generator=torch.Generator(),
        collate_fn=Samples.normalised,  # type: ignore[arg-type]  # which the data set gives for a list
    )
    features = torch.cat([extract(batch.images) for batch in loader])
    if world_size > 1:
        parts = [torch.empty_like(features, device=device) for _ in range(world_size)]
        torch.distributed.all_gather(parts, features.to(device))
        features = torch.stack(parts, dim=1).reshape(rows * world_size, *features.shape[1:])[:total].cpu()
    return FeatureDataset(features, label_tensor(dataset.source.labels))
