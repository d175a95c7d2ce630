"""Mixup and CutMix of a batch, drawn from the step's own seed.

The mixing itself is torchvision's; its one-hot labels are left aside, so that every loss on labels can be used.
"""

import functools
from typing import Any, Literal

import torch

from lightning_recipes.data.batch import Batch, MixedBatch

__all__ = ["mix"]


def mix(batch: Batch, how: Literal["mixup", "cutmix"], *, alpha: float, seed: int) -> MixedBatch:
    """Mix each image of a batch with the one before it.

    Mixup: ``x = s x_i + (1 - s) x_j``. CutMix: a rectangle of ``1 - s`` of the area of x_i shows x_j. One share
    ``s ~ Beta(alpha, alpha)`` for the batch.

    Source: Zhang et al. (2018), "mixup", equation 2; Yun et al. (2019), "CutMix", equation 1.

    Args:
        batch: Images (N, 3, H, W) and labels (N,).
        how: Which of the two.
        alpha: > 0; 1 is uniform, less stays nearer to one of the images.
        seed: Decides the share and the rectangle; no global generator is used up.
    """
    mixer = _mixer(how, alpha)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the CPU's global generator
        torch.default_generator.manual_seed(seed)
        params = mixer.make_params([batch.images]) | {"labels": None, "batch_size": len(batch.images)}
    images = mixer.transform(batch.images, params)
    share = params["lam"] if how == "mixup" else params["lam_adjusted"]
    return MixedBatch(images, batch.labels, batch.indices, batch.labels.roll(1, 0), float(share))


@functools.lru_cache
def _mixer(how: Literal["mixup", "cutmix"], alpha: float) -> Any:
    from torchvision.transforms.v2 import CutMix, MixUp

    return (MixUp if how == "mixup" else CutMix)(alpha=alpha, num_classes=2)  # needs a number, which is not used
