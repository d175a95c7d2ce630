"""Resizing of images, filtered where they shrink: by PyTorch, or by Pillow."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lightning_recipes.input_config import ImageBackend

__all__ = ["Box", "image_to_tensor", "resize", "tensor_to_image"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, in pixels."""

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
BY_TORCH = ("bilinear", "bicubic")
SMALL = 64
"""Side of a part, in pixels, below which half a pixel more or less at its borders shows."""


def resize(
    pixels: Tensor,
    size: tuple[int, int],
    box: Box | None = None,
    *,
    interpolation: str = "bilinear",
    backend: ImageBackend = "torch",
) -> Tensor:
    """Return an image, or a part of it, at another size, (C, *size), uint8.

    Filtered where it shrinks, as it was when the weights were trained; OpenCV does not, and small models lose accuracy
    to aliasing. PyTorch's is Pillow's to within one of 255 levels, but takes whole pixels: small parts are Pillow's,
    and so are ``lanczos`` and ``nearest``.

    Args:
        pixels: (C, H, W), uint8.
        size: Height and width in pixels.
        box: The part (default: the whole).
        interpolation: ``bilinear``, ``bicubic``, ``lanczos`` or ``nearest``.
        backend: ``torch`` or ``pillow``.
    """
    left, top, right, bottom = box or (0, 0, pixels.shape[2], pixels.shape[1])
    small = box is not None and min(right - left, bottom - top) < SMALL
    thin = 1 in (*pixels.shape[1:], *size)  # of five channels and more PyTorch makes other values of it
    if backend == "pillow" or interpolation not in BY_TORCH or small or thin:
        return _by_pillow(pixels, size, box, RESAMPLING.get(interpolation, Image.Resampling.BICUBIC))
    part = pixels[None, :, round(top) : round(bottom), round(left) : round(right)]
    part = part.contiguous(memory_format=torch.channels_last)  # as a picture is decoded; PyTorch is quicker at it, too
    return torch.nn.functional.interpolate(part, size, mode=interpolation, antialias=True)[0]


def _by_pillow(pixels: Tensor, size: tuple[int, int], box: Box | None, resampling: Image.Resampling) -> Tensor:
    height, width = size
    if len(pixels) == 3:
        return image_to_tensor(tensor_to_image(pixels).resize((width, height), resampling, box))
    # Pillow knows no picture of five channels, and multiplies those of a fourth by it.
    resized = [Image.fromarray(channel.numpy()).resize((width, height), resampling, box) for channel in pixels]
    return torch.from_numpy(np.stack([np.asarray(one) for one in resized]))


def tensor_to_image(pixels: Tensor) -> Image.Image:
    """Return an image (3, H, W), uint8, as Pillow's."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def image_to_tensor(image: Image.Image) -> Tensor:
    """Return an RGB image of Pillow's, (3, H, W), uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
