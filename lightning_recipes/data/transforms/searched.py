"""Operations that were searched for, as torchvision has them, drawn from a seed."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lightning_recipes.data.transforms.resizing import image_to_tensor, tensor_to_image

__all__ = ["OPS", "searched"]

OPS: dict[str, Callable[[Any, int, int], Callable[[Image.Image], Image.Image]]] = {
    "randaugment": lambda tv, num_ops, magnitude: tv.RandAugment(num_ops, magnitude),
    "trivialaugment": lambda tv, *_: tv.TrivialAugmentWide(),
    "autoaugment": lambda tv, *_: tv.AutoAugment(tv.AutoAugmentPolicy.IMAGENET),
    "autoaugment_cifar10": lambda tv, *_: tv.AutoAugment(tv.AutoAugmentPolicy.CIFAR10),
    "augmix": lambda tv, *_: tv.AugMix(),
}
"""By name: what makes each of torchvision's transforms, a number of operations and their magnitude."""


def searched(view: Tensor, name: str, seed: int, *, num_ops: int, magnitude: int) -> Tensor:
    """Return an image (3, H, W), uint8, after the operations; torch's global generator is as before afterwards.

    Args:
        view: The image.
        name: One of :data:`OPS`.
        seed: Decides every draw.
        num_ops: Of ``randaugment``.
        magnitude: Likewise.
    """
    from torchvision import transforms

    op = OPS[name](transforms, num_ops, magnitude)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator and takes no other
        torch.default_generator.manual_seed(seed)
        return image_to_tensor(op(tensor_to_image(view)))
