"""Which part of a picture is trained on: crops by name, drawn from a generator."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.data.transforms.frame import Frame

__all__ = ["CROPS"]


class CropPolicy(Protocol):
    """What crops are drawn by; parameters of a policy."""

    @property
    def scale(self) -> tuple[float, float]: ...

    @property
    def ratio(self) -> tuple[float, float]: ...

    def border_width(self, size: int) -> int: ...


def _resized(frame: Frame, pixels: Tensor, draw: np.random.Generator, policy: CropPolicy) -> Tensor:
    """A random part of random shape; of extreme images, after ten tries, the largest that fits."""
    height, width = pixels.shape[1:]
    low, high = (math.log(r) for r in policy.ratio)
    for _ in range(10):
        area = width * height * draw.uniform(*policy.scale)
        shape = math.exp(draw.uniform(low, high))
        w, h = math.sqrt(area * shape), math.sqrt(area / shape)
        if w <= width and h <= height:
            break
    else:
        w = min(width, height * policy.ratio[1])
        h = min(height, width / policy.ratio[0])
    left, top = draw.uniform(0, width - w), draw.uniform(0, height - h)
    return frame.resize(pixels, (frame.size, frame.size), (left, top, left + w, top + h))


def _padded(frame: Frame, pixels: Tensor, draw: np.random.Generator, policy: CropPolicy) -> Tensor:
    """A random crop of the image with a black border."""
    border = policy.border_width(frame.size)
    wide = torch.nn.functional.pad(frame.centre(pixels, 1.0), (border,) * 4)
    left, top = (int(v) for v in draw.integers(0, 2 * border + 1, size=2))
    return wide[:, top : top + frame.size, left : left + frame.size].clone()


def _centre(frame: Frame, pixels: Tensor, draw: np.random.Generator, policy: CropPolicy) -> Tensor:
    return frame.centre(pixels, 1.0).clone()


CROPS: dict[str, Callable[[Frame, Tensor, np.random.Generator, CropPolicy], Tensor]] = {
    "resized": _resized,
    "padded": _padded,
    "centre": _centre,
}
"""Each makes (C, size, size), uint8, of (C, H, W), in memory of its own."""
