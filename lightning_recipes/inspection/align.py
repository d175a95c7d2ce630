"""Whether two pictures show the same, by the details that are left when one has been laid upon the other.

One is moved and scaled onto the other by Gauss-Newton steps on the difference of the two (Lucas and Kanade 1981), from
coarse to fine. Contrast is made alike everywhere first, so that the folds of two shirts count as much as their outlines
against the wall, which are alike.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lightning_recipes.inspection.verify import Verified

__all__ = ["LEAST", "Read", "aligned", "confirm"]

LEAST = {32: 0.80, 64: 0.85, 96: 0.85}
"""Correlation that two pictures of the same have at least, by the side in pixels at which they are compared.

Measured on CIFAR-10 (32) and on photographs of clothes (64, 96): of pictures cropped by 12 %, mirrored and saved
at quality 40, 98 of 100 have more; of different clothes that look the same from afar, 2 of 100.
"""
UNMISTAKABLE, LOST = 0.94, 0.1
"""From which correlation from afar on the details of whole small pictures may agree less, and by how much: compression
leaves little of them, and all else as it was."""
WINDOW = 0.06  # deviation of the window in which contrast is made alike, as a share of the side
NOISE = 8.0  # levels of 255 that count as none
BLURS = (0.04, 0.02, 0.01)  # shares of the side
STEPS = 5
FARTHEST = 0.12  # that a side or a place may end from where it began
BLOCK = 128  # pairs
THREADS = 8
KEPT = 8192  # small pictures
MANY, MOST = 5_000, 50_000
"""Pairs above which all are compared at 32 pixels, as the frames of films are, and pairs that are compared at most."""

Read = Callable[[int], NDArray[np.uint8]]
"""From a place to a picture (H, W, 3); raises :class:`ValueError` where it cannot be read any more."""


def confirm(found: Verified, sides: NDArray[np.integer], read: Read) -> Verified:
    """Return the pairs whose details agree, with the correlation of these and the side of the crop, both as refined.

    Args:
        found: Pairs that look the same from afar.
        sides: (N,), shorter sides of all pictures in pixels.
        read: Where the pictures come from.
    """
    found = _most_alike(found)
    steps, shorter = np.array(sorted(LEAST)), sides[found.pairs].min(axis=1)
    size = steps[np.maximum(np.searchsorted(steps, shorter, side="right") - 1, 0)]
    if len(found.pairs) > MANY:
        size[:] = min(LEAST)
    correlation, side = np.zeros(len(found.pairs), np.float32), np.ones(len(found.pairs), np.float32)
    for pixels in LEAST:
        grey = lru_cache(KEPT)(lambda place, pixels=pixels: _grey(read, place, pixels))
        rows = np.flatnonzero(size == pixels)
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(rows), BLOCK):
                some = rows[start : start + BLOCK]
                whole, part = (torch.stack(list(pool.map(grey, found.pairs[some, i].tolist()))).float() for i in (0, 1))
                flip = torch.from_numpy(found.mirrored[some])[:, None, None, None]
                part = torch.where(flip, part.flip(-1), part)
                told, crops = aligned(whole, part, torch.from_numpy(found.crop[some]))
                correlation[some], side[some] = told.numpy(), crops[:, 0].numpy()
    least = np.array([LEAST[pixels] for pixels in size.tolist()])
    small, whole = size == min(LEAST), found.crop[:, 0] == 1.0
    lost = LOST * (small & whole & (found.correlation >= UNMISTAKABLE))
    kept = np.flatnonzero(correlation >= least - lost)
    crop = np.concatenate([side[:, None], found.crop[:, 1:]], axis=1)
    return replace(found, correlation=correlation, crop=crop).rows(kept)


def _most_alike(found: Verified) -> Verified:
    if len(found.pairs) <= MOST:
        return found
    rows = np.sort(np.argsort(-found.correlation, kind="stable")[:MOST])
    return replace(found.rows(rows), complete=False)


def _grey(read: Read, place: int, pixels: int) -> Tensor:
    try:
        picture = Image.fromarray(read(place)).convert("L")
    except ValueError:  # it was there when it was measured
        return torch.zeros(1, pixels, pixels, dtype=torch.uint8)
    small = picture.resize((pixels, pixels), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return torch.from_numpy(np.array(small))[None]


@torch.inference_mode()
def aligned(whole: Tensor, part: Tensor, crops: Tensor) -> tuple[Tensor, Tensor]:
    """Return how well pairs agree when one is laid upon the other, (B,), and of which crop of the first, (B, 3).

    Args:
        whole: (B, 1, S, S), grey, 0 to 255.
        part: Likewise.
        crops: (B, 3), of the whole, to begin with: side as a share, and where top and left lie in what is left over.
    """
    size = whole.shape[-1]
    one, other = (_even_contrast(pictures, WINDOW * size) for pictures in (whole, part))
    side, top, left = crops.float().T
    # Scale and centre of each direction, where a picture is from -1 to 1.
    begun = torch.stack([side, 2 * (left * (1 - side) + side / 2) - 1, side, 2 * (top * (1 - side) + side / 2) - 1], 1)
    placed = begun
    for blur in BLURS:
        placed = _moved(_blurred(one, blur * size), _blurred(other, blur * size), placed, begun)
    first, last = (_agreement(_warped(one, places), other) for places in (begun, placed))
    better = (last >= first)[:, None]
    best = torch.where(better, placed, begun)
    scale = best[:, 0::2].prod(dim=1).abs().sqrt()
    return torch.maximum(first, last), torch.stack([scale, top, left], dim=1)


def _moved(one: Tensor, other: Tensor, placed: Tensor, begun: Tensor) -> Tensor:
    size = one.shape[-1]
    along = (torch.arange(size) + 0.5) / size * 2 - 1
    across, down = along.view(1, 1, 1, -1), along.view(1, 1, -1, 1)
    rise_x = functional.pad((one[..., 2:] - one[..., :-2]) * size / 4, (1, 1))
    rise_y = functional.pad((one[..., 2:, :] - one[..., :-2, :]) * size / 4, (0, 0, 1, 1))
    sought, eye = _standardised(other), torch.eye(4)
    for _ in range(STEPS):
        seen = _warped(one, placed)
        spread = seen.std(dim=(1, 2, 3), keepdim=True) + 1e-6
        lack = (sought - _standardised(seen)).flatten(2)
        x, y = _warped(rise_x, placed) / spread, _warped(rise_y, placed) / spread
        slopes = torch.cat([x * across, x, y * down, y], dim=1).flatten(2)  # (B, 4, S²)
        normal = slopes @ slopes.transpose(1, 2)
        damping = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-6
        step = torch.linalg.solve(normal + damping[:, None, None] * eye, slopes @ lack.transpose(1, 2))[..., 0]
        placed = begun + (placed + step.clamp(-0.05, 0.05) - begun).clamp(-FARTHEST, FARTHEST)
    return placed


def _warped(pictures: Tensor, placed: Tensor) -> Tensor:
    count, _, size, _ = pictures.shape
    along = (torch.arange(size) + 0.5) / size * 2 - 1
    x, y = (placed[:, i + 1, None] + placed[:, i, None] * along for i in (0, 2))
    grid = torch.stack([x[:, None, :].expand(count, size, size), y[:, :, None].expand(count, size, size)], dim=-1)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _even_contrast(pictures: Tensor, window: float) -> Tensor:
    mean = _blurred(pictures, window)
    spread = (_blurred(pictures * pictures, window) - mean * mean).clamp_min(0).sqrt()
    return (pictures - mean) / (spread + NOISE)


def _blurred(pictures: Tensor, deviation: float) -> Tensor:
    if deviation <= 0.5:
        return pictures
    reach = round(3 * deviation)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(pictures, (reach, reach, reach, reach), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))


def _standardised(pictures: Tensor) -> Tensor:
    centred = pictures - pictures.mean(dim=(1, 2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-6)


def _agreement(one: Tensor, other: Tensor) -> Tensor:
    edge = max(1, one.shape[-1] // 24)  # where what was cut off is missing
    inner = (slice(None), slice(None), slice(edge, -edge), slice(edge, -edge))
    return (_standardised(one[inner]) * _standardised(other[inner])).mean(dim=(1, 2, 3))
