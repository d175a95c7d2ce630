"""What a policy makes of a picture: a view that is a function of the two and a seed."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.data.transforms.crops import CROPS
from lightning_recipes.data.transforms.frame import Frame
from lightning_recipes.data.transforms.policies import Policy, import_albumentations
from lightning_recipes.data.transforms.searched import searched

__all__ = ["draw_view"]

OPENCV_CHANNELS = 4
"""Of a colour; images of more are turned four channels at a time, all with one number."""
Fill = tuple[float, ...]
"""Colour of what is cut out or moved in, a value a channel from 0 to 255."""


def draw_view(policy: Policy, frame: Frame, pixels: Tensor, seed: int) -> Tensor:
    """Return a view of a picture, (C, size, size), uint8.

    Args:
        policy: What may happen.
        frame: The square that the picture becomes.
        pixels: (C, H, W), uint8; left as they are.
        seed: Decides every draw.
    """
    return _by_pillow(policy, frame, pixels, seed) if frame.backend == "pillow" else _draw(policy, frame, pixels, seed)


def _draw(policy: Policy, frame: Frame, pixels: Tensor, seed: int) -> Tensor:
    """No draw depends on whether another is made: policies that differ in one parameter differ in that alone."""
    draw = np.random.default_rng(seed)
    flip, cut, *places = draw.random(8)  # before the crop, which draws as often as it has to
    view = _cropped(policy, frame, pixels, draw, seed)
    if policy.flip and flip < 0.5:
        view = view.flip(2)
    if policy.rotate or policy.shift or policy.changes_colours or policy.blur:
        view = _run(_moves_and_colours(policy, frame.size, frame.fill_colour), view, seed)
    if cut < policy.cutout_p and (side := policy.hole_side(frame.size)):
        down, across = (_place(side, frame.size, share) for share in places[:2])
        view[:, down, across] = frame.fill
    for rows, columns in _stripes(policy, frame.size, *places[2:]):
        view[:, rows, columns] = frame.fill
    return view


def _cropped(policy: Policy, frame: Frame, pixels: Tensor, draw: np.random.Generator, seed: int) -> Tensor:
    view = CROPS[policy.crop](frame, pixels, draw, policy)
    if policy.ops == "none":
        return view
    return searched(view, policy.ops, seed, num_ops=policy.num_ops, magnitude=policy.magnitude)


def _stripes(policy: Policy, size: int, *drawn: float) -> list[tuple[slice, slice]]:
    """Stripes of widths from none to the widest."""
    wide, across, high, down = drawn
    columns = int(wide * (round(policy.time_mask * size) + 1))
    rows = int(high * (round(policy.frequency_mask * size) + 1))
    everything = slice(None)
    stripes = [(everything, _place(columns, size, across))] if columns else []
    return [*stripes, (_place(rows, size, down), everything)] if rows else stripes


def _place(length: int, size: int, share: float) -> slice:
    """Return where something of a length lies within a side, from its start (0) to its end (1)."""
    start = int(share * (size - length + 1))
    return slice(start, start + length)


def _run(pipeline: Any, view: Tensor, seed: int) -> Tensor:
    pipeline.set_random_seed(seed)
    image = np.ascontiguousarray(view.permute(1, 2, 0).numpy())
    return torch.from_numpy(pipeline(image=image)["image"]).permute(2, 0, 1)


@lru_cache
def _moves_and_colours(policy: Policy, size: int, fill: Fill) -> Any:
    """Return what moves an image and changes its colours, by albumentations, whose OpenCV is the quickest at these."""
    return import_albumentations().Compose(_moves_and_colour_steps(policy, size, fill))


def _moves_and_colour_steps(policy: Policy, size: int, fill: Fill) -> list[Any]:
    a, steps, j = import_albumentations(), [], policy.jitter
    if policy.rotate or policy.shift:
        moved = {"translate_percent": (-policy.shift, policy.shift), "rotate": (-policy.rotate, policy.rotate)}
        one = fill if len(fill) <= OPENCV_CHANNELS else sum(fill) / len(fill)
        steps.append(a.Affine(**moved, fill=one, p=1.0))
    if (j or policy.hue) and len(fill) == 3:
        steps.append(a.ColorJitter(brightness=j, contrast=j, saturation=j, hue=policy.hue_turn, p=policy.jitter_p))
    elif j:  # hue and saturation are of red, green and blue
        steps.append(a.RandomBrightnessContrast(brightness_limit=j, contrast_limit=j, p=policy.jitter_p))
    if policy.grey and len(fill) == 3:
        steps.append(a.ToGray(p=policy.grey))
    if policy.blur:
        side = policy.kernel_size(size)
        steps.append(a.GaussianBlur(blur_limit=(side, side), sigma_limit=(0.1, 2.0), p=policy.blur))
    return steps


def _by_pillow(policy: Policy, frame: Frame, pixels: Tensor, seed: int) -> Tensor:
    """As of 0.1.0, whose runs go on to the bit: flips, holes and stripes are albumentations', too."""
    view = _cropped(policy, frame, pixels, np.random.default_rng(seed), seed)
    return _run(_everything_behind_the_crop(policy, frame.size, frame.fill_colour), view, seed)


@lru_cache
def _everything_behind_the_crop(policy: Policy, size: int, fill: Fill) -> Any:
    a = import_albumentations()
    steps = [a.HorizontalFlip(p=0.5)] if policy.flip else []
    steps += _moves_and_colour_steps(policy, size, fill)
    if side := policy.hole_side(size):
        hole = {"num_holes_range": (1, 1), "hole_height_range": (side, side), "hole_width_range": (side, side)}
        steps.append(a.CoarseDropout(**hole, fill=fill, p=policy.cutout_p))
    for axis, share in (("x", policy.time_mask), ("y", policy.frequency_mask)):
        if widest := round(share * size):
            stripe = {f"num_masks_{axis}": 1, f"mask_{axis}_length": (0, widest)}
            steps.append(a.XYMasking(**stripe, fill=fill, p=1.0))
    return a.Compose(steps)
