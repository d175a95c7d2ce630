"""The square that an input is: its size, how a picture is fitted into it, and by what it is resized."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lightning_recipes.data.transforms.resizing import Box, resize
from lightning_recipes.input_config import Fit, ImageBackend, InputConfig

__all__ = ["Frame", "frame_of"]


@dataclass(frozen=True)
class Frame:
    """What all transforms share.

    Attributes:
        size: Side in pixels.
        fill_colour: Of what is empty or cut out, a value a channel from 0 to 255.
        interpolation: ``bilinear``, ``bicubic``, ``lanczos`` or ``nearest``.
        fit: ``crop``, ``pad`` or ``squish``.
        backend: ``torch`` or ``pillow``.
    """

    size: int
    fill_colour: tuple[float, ...]
    interpolation: str = "bilinear"
    fit: Fit = "crop"
    backend: ImageBackend = "torch"

    @cached_property
    def fill(self) -> Tensor:
        """The colour as a pixel, (C, 1, 1), uint8."""
        return torch.tensor([round(value) for value in self.fill_colour], dtype=torch.uint8)[:, None, None]

    def opened(self, pixels: Tensor, side: int | None = None) -> Tensor:
        """Return a picture as crops are taken of it: as it is, or made square.

        Args:
            pixels: (C, H, W), uint8.
            side: Of the square in pixels (default: the longer side of the picture, or twice the input's where that is
                less, as no crop needs more).
        """
        height, width = pixels.shape[1:]
        if self.fit == "crop" or width == height:
            return pixels
        longest = max(width, height)
        side = side or min(longest, 2 * self.size)
        if self.fit == "squish":
            return self.resize(pixels, (side, side))
        height, width = (max(1, round(length * side / longest)) for length in (height, width))
        square = self.fill.repeat(1, side, side)
        top, left = (side - height) // 2, (side - width) // 2
        square[:, top : top + height, left : left + width] = self.resize(pixels, (height, width))
        return square

    def resize(self, pixels: Tensor, size: tuple[int, int], box: Box | None = None) -> Tensor:
        """Return an image, or a part of it, at another size; arguments as of :func:`resize`."""
        return resize(pixels, size, box, interpolation=self.interpolation, backend=self.backend)

    def centre(self, pixels: Tensor, crop_pct: float) -> Tensor:
        """Resize the shorter side to size / crop_pct and cut out the centre, as timm's evaluation does."""
        short = int(self.size / crop_pct)
        height, width = pixels.shape[1:]
        scale = short / min(height, width)
        if min(height, width) != short:
            pixels = self.resize(pixels, (max(short, int(height * scale)), max(short, int(width * scale))))
        top, left = (round((length - self.size) / 2) for length in pixels.shape[1:])
        return pixels[:, top : top + self.size, left : left + self.size]


def frame_of(given: InputConfig) -> Frame:
    """Return the frame of an input."""
    fill_colour = tuple(255 * mean for mean in given.mean)
    return Frame(given.image_size, fill_colour, given.interpolation, given.fit, given.image_backend)
