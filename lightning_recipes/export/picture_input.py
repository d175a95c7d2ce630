"""From pixels of any size to the input of a network, as part of a graph.

What evaluation does to a picture (:class:`~lightning_recipes.data.transforms.image_transforms.EvalTransform`) as two
products with matrices, which every runtime has: what an input row takes of each row of the picture, and what a column
takes of each column. The filters are Pillow's, in two passes that each round to whole levels, columns first, as PyTorch
does it too. Sizes are numbers in the graph, in float64 where a crop is a matter of rounding.

Source: Pillow, ``Resample.c``; Keys (1981), "Cubic convolution interpolation for digital image processing", a = -0.5.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.data.transforms.resizing import BY_TORCH
from lightning_recipes.input_config import InputConfig

__all__ = ["PictureInput"]


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    angle = math.pi * x
    safe = torch.where(angle == 0, torch.ones_like(angle), angle)
    value = 3 * safe.sin() * (safe / 3).sin() / (safe * safe)
    value = torch.where(angle == 0, torch.ones_like(value), value)
    return torch.where(x.abs() < 3, value, torch.zeros_like(value))


BITS = 22  # of a share in Pillow
BORDER = 4  # rows
FILTERS: dict[str, Callable[[Tensor], Tensor]] = {"bilinear": _triangle, "bicubic": _cubic, "lanczos": _lanczos}


class PictureInput(nn.Module):
    """Makes inputs of pictures of one size, whichever it is.

    Args:
        given: How a picture becomes an input.
    """

    def __init__(self, given: InputConfig) -> None:
        super().__init__()
        self.given, self.size = given, given.image_size
        self.filter = FILTERS.get(given.interpolation)
        # Numbers of 16 bits by levels of 8 add up in float32, exactly or as good as; those of 22 bits need float64.
        self.by_torch = given.image_backend == "torch" and given.interpolation in BY_TORCH
        self.kind = torch.float32 if self.by_torch else torch.float64
        # Of levels from 0 to 255, as data.batch.normalise has them.
        self.register_buffer("mean", _column([255 * value for value in given.mean]), persistent=False)
        self.register_buffer("std", _column([255 * value for value in given.std]), persistent=False)
        self.register_buffer("fill", _column([round(255 * value) for value in given.mean]), persistent=False)

    @override
    def forward(self, pictures: Tensor) -> Tensor:
        """Return inputs (N, C, size, size), float32, of pictures (N, H, W, C), uint8."""
        levels = self.levels(pictures)
        return (levels - self.get_buffer("mean")) / self.get_buffer("std")

    def levels(self, pictures: Tensor) -> Tensor:
        """Return inputs before they are normalised, whole levels from 0 to 255."""
        down, across = pictures[0, :, 0, 0], pictures[0, 0, :, 0]
        height, width = _length(down), _length(across)
        rows, inside_rows = self._taken(down, height, (height, width))
        columns, inside_columns = self._taken(across, width, (height, width))
        levels = pictures.permute(0, 3, 1, 2).to(self.kind)
        levels = _whole(torch.matmul(levels, columns.transpose(0, 1)))
        levels = _whole(torch.matmul(rows, levels)).to(torch.float32)
        if self.given.fit != "pad":
            return levels
        return torch.where(inside_rows[:, None] & inside_columns[None, :], levels, self.get_buffer("fill"))

    def _taken(self, line: Tensor, length: Tensor, sides: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what each input row takes of each of the picture's, (size, L), and whether it lies in the picture.

        Args:
            line: (L,), a pixel of each row.
            length: L.
            sides: Height and width.
        """
        resized, first = self._laid_out(length, torch.minimum(*sides), torch.maximum(*sides))
        seen = torch.arange(self.size, dtype=torch.float64) + first  # in the resized picture
        inside = (seen >= 0) & (seen < resized)
        # Rows at the borders, which a crop may leave out, too: they say how exact the shares of all are.
        border = torch.arange(BORDER, dtype=torch.float64)
        position = torch.cat(
            [seen.clamp_min(0).minimum(resized - 1), border.minimum(resized - 1), resized - 1 - border]
        )
        shares = self._shares(position.clamp_min(0), length / resized, line)
        return self._rounded(shares, shares.max())[: self.size], inside

    def _shares(self, position: Tensor, stretch: Tensor, line: Tensor) -> Tensor:
        """Return what rows of the resized picture take of each of the picture's, (P, L), float64."""
        centre = ((position + 0.5) * stretch)[:, None]
        pixels = torch.arange(line.shape[0], dtype=torch.float64)[None, :]
        if self.filter is None:  # nearest
            return (pixels == centre.floor()).to(torch.float64)
        taken = self.filter((pixels + 0.5 - centre) / stretch.clamp_min(1))
        return taken / taken.sum(dim=1, keepdim=True)

    def _rounded(self, shares: Tensor, largest: Tensor) -> Tensor:
        """Return shares as exact as the other side has them: enlarged small pictures are full of ties.

        Pillow has 22 bits. PyTorch has as many as let the largest share be a number of 16 bits with its sign.
        """
        powers = 2.0 ** torch.arange(BITS + 1, dtype=torch.float64)
        scale = powers[-1]
        if self.by_torch:
            fits = (largest * powers + 0.5).floor() < 2**15
            scale = torch.where(fits, powers, torch.zeros_like(powers)).max()
        return (shares.sign() * (shares.abs() * scale + 0.5).floor() / scale).to(self.kind)

    def _laid_out(self, length: Tensor, shorter: Tensor, longer: Tensor) -> tuple[Tensor, Tensor]:
        """Return the length of a side after resizing, and where in it the input begins; float64 scalars."""
        given = self.given
        if given.fit == "squish":
            return torch.full_like(length, self.size), torch.zeros_like(length)
        if given.fit == "pad":
            resized = (length * self.size / longer).round().clamp_min(1)
            return resized, -((self.size - resized) / 2).floor()
        short = int(self.size / given.crop_pct)
        # Not `short / shorter`, which multiplies by the reciprocal and so ends below a whole number.
        resized = (length * (torch.full_like(shorter, short) / shorter)).floor().clamp_min(short)
        return resized, ((resized - self.size) / 2).round()


def _length(line: Tensor) -> Tensor:
    """Return how many values a line has, as a float64 scalar of the graph."""
    return torch.ones_like(line, dtype=torch.float64).sum()


def _whole(levels: Tensor) -> Tensor:
    return (levels + 0.5).floor().clamp(0, 255)


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]
