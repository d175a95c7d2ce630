"""What a policy makes of a whole batch at once, on the device where the images are."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad
from torchvision.ops import roi_align

from lightning_recipes.data.transforms.policies import Policy
from lightning_recipes.errors import UserError

__all__ = ["DRAWS", "FLIP", "LATER_DRAWS", "draw_views", "draws_more", "refuse_for_batches"]

NAMES = (
    *("flip", "cut", "cut_down", "cut_across", "wide", "wide_at", "high", "high_at", "area", "ratio", "down", "across"),
    *("turn", "move_across", "move_down", "brightness", "contrast", "saturation", "hue"),
)
FLIP = NAMES.index("flip")
DRAWS = len(NAMES)
"""Numbers that each image of a batch needs, whatever the policy makes of them."""
LATER_NAMES = ("jittered", "grey", "blurred", "sigma")
LATER_DRAWS = len(LATER_NAMES)
"""Numbers that came later: drawn apart, so that policies from before them draw what they drew."""

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as of Pillow and torchvision
TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))

Draws = dict[str, Tensor]


def refuse_for_batches(policy: Policy) -> None:
    """Refuse what is done to one image at a time.

    Raises:
        UserError: The policy has searched operations.
    """
    if policy.ops != "none":
        raise UserError(
            f"data.cache: device does not draw {policy.ops}; leave one of them out, or give light, medium or strong"
        )


def draws_more(policy: Policy) -> bool:
    """Tell whether a policy needs the numbers that came later."""
    return bool(policy.jitter_p < 1 or policy.grey or policy.blur)


def draw_views(policy: Policy, pixels: Tensor, draws: Tensor, fill: Tensor) -> Tensor:
    """Return a view of each image, (N, C, S, S), uint8; what happens is as of :class:`Policy`, in its order.

    Crops are of the images as they are: a ``resized`` one is filtered, and enlarged from the input's own size.

    Args:
        policy: What may happen.
        pixels: (N, C, S, S), uint8; left as they are.
        draws: (N, :data:`DRAWS`), or with :data:`LATER_DRAWS` more where :func:`draws_more`, in [0, 1), on the same
            device. No draw depends on whether another is made.
        fill: Colour of what is cut out or moved in, (C, 1, 1), uint8, on the same device.
    """
    drawn = dict(zip((*NAMES, *LATER_NAMES), draws.unbind(1), strict=False))
    views = CROPS[policy.crop](policy, pixels, drawn)
    if policy.flip:
        views = torch.where((drawn["flip"] < 0.5)[:, None, None, None], views.flip(3), views)
    if policy.rotate or policy.shift:
        views = _moved(policy, views, drawn, fill)
    if policy.jitter or policy.hue:
        views = _some(drawn, "jittered", policy.jitter_p, _coloured(policy, views, drawn), views)
    if policy.grey and views.shape[1] == 3:
        views = _some(drawn, "grey", policy.grey, _grey(views), views)
    if policy.blur:
        views = _some(drawn, "blurred", policy.blur, _blurred(policy, views, drawn), views)
    return _masked(policy, views, drawn, fill)


def _padded(policy: Policy, pixels: Tensor, drawn: Draws) -> Tensor:
    size = pixels.shape[-1]
    border = policy.border_width(size)
    windows = pad(pixels, (border,) * 4).unfold(2, size, 1).unfold(3, size, 1)
    down, across = ((drawn[name] * (2 * border + 1)).long() for name in ("down", "across"))
    return windows[torch.arange(len(pixels), device=pixels.device), :, down, across]


def _resized(policy: Policy, pixels: Tensor, drawn: Draws) -> Tensor:
    size = pixels.shape[-1]
    low, high = (math.log(value) for value in policy.ratio)
    area = policy.scale[0] + drawn["area"] * (policy.scale[1] - policy.scale[0])
    ratio = (low + drawn["ratio"] * (high - low)).exp()
    width, height = ((area * shape).sqrt().clamp(max=1) for shape in (ratio, 1 / ratio))
    left, top = drawn["across"] * (1 - width), drawn["down"] * (1 - height)
    boxes = torch.stack([left, top, left + width, top + height], dim=1) * size
    numbers = torch.arange(len(pixels), device=pixels.device, dtype=boxes.dtype)[:, None]
    parts = roi_align(pixels.float(), torch.cat([numbers, boxes], dim=1), size, sampling_ratio=2, aligned=True)
    return _to_uint8(parts)


def _centre(policy: Policy, pixels: Tensor, drawn: Draws) -> Tensor:
    return pixels


CROPS: dict[str, Callable[[Policy, Tensor, Draws], Tensor]] = {
    "resized": _resized,
    "padded": _padded,
    "centre": _centre,
}


def _moved(policy: Policy, pixels: Tensor, drawn: Draws, fill: Tensor) -> Tensor:
    angle = (2 * drawn["turn"] - 1) * math.radians(policy.rotate)
    across, down = ((2 * drawn[name] - 1) * 2 * policy.shift for name in ("move_across", "move_down"))
    rows = ((angle.cos(), -angle.sin(), across), (angle.sin(), angle.cos(), down))
    matrices = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = affine_grid(matrices, list(pixels.shape), align_corners=False)
    colour = fill.float()
    return _to_uint8(grid_sample(pixels - colour, grid, align_corners=False) + colour)


def _some(drawn: Draws, name: str, share: float, changed: Tensor, views: Tensor) -> Tensor:
    """Return the changed images of a share, and the others as they are."""
    return changed if share >= 1 else torch.where((drawn[name] < share)[:, None, None, None], changed, views)


def _grey(pixels: Tensor) -> Tensor:
    weights = _constants(pixels.device)[0][:, None, None]
    return _to_uint8((pixels.float() * weights).sum(1, keepdim=True)).expand_as(pixels)


def _blurred(policy: Policy, pixels: Tensor, drawn: Draws) -> Tensor:
    """A Gaussian of each image's own width, first down, then across; borders are mirrored."""
    count, channels, size, _ = pixels.shape
    side = policy.kernel_size(size)
    places = torch.arange(side, device=pixels.device) - side // 2
    sigma = 0.1 + 1.9 * drawn["sigma"]
    kernel = torch.softmax(-(places**2) / (2 * sigma[:, None] ** 2), dim=1).repeat_interleave(channels, dim=0)
    images = pad(pixels.float(), (side // 2,) * 4, mode="reflect").reshape(1, count * channels, size + side - 1, -1)
    images = conv2d(images, kernel[:, None, :, None], groups=count * channels)
    images = conv2d(images, kernel[:, None, None, :], groups=count * channels)
    return _to_uint8(images.reshape(pixels.shape))


def _coloured(policy: Policy, pixels: Tensor, drawn: Draws) -> Tensor:
    """Brightness, contrast, saturation and hue, in this order; of other channels than three the first two."""
    strength = {name: (2 * drawn[name] - 1)[:, None, None, None] * policy.jitter for name in NAMES[-4:-1]}
    turn = 2 * drawn["hue"] - 1
    turns = turn * policy.jitter / 10 if policy.hue is None else turn * policy.hue
    images = pixels.float() * (1 + strength["brightness"])
    weights = _constants(pixels.device)[0][:, None, None]
    grey = (images * weights).sum(1, keepdim=True) if pixels.shape[1] == 3 else images
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    images = ((images - mean) * (1 + strength["contrast"]) + mean).clamp(0, 255)
    if pixels.shape[1] != 3:
        return _to_uint8(images)
    grey = (images * weights).sum(1, keepdim=True)
    images = (images - grey) * (1 + strength["saturation"]) + grey
    return _to_uint8(torch.einsum("nij,njhw->nihw", _hue_turns(turns), images))


def _hue_turns(turns: Tensor) -> Tensor:
    """Return matrices (N, 3, 3) that turn the hue of red, green and blue by shares of a full turn, in YIQ."""
    angle, zero, one = 2 * math.pi * turns, torch.zeros_like(turns), torch.ones_like(turns)
    rows = ((one, zero, zero), (zero, angle.cos(), -angle.sin()), (zero, angle.sin(), angle.cos()))
    rotation = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    _, to_yiq, from_yiq = _constants(turns.device)
    return from_yiq @ rotation @ to_yiq


@lru_cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights of grey, the matrix to YIQ and the one back; kept, since a device waits for what is sent."""
    with torch.inference_mode(mode=False):
        to_yiq = torch.tensor(TO_YIQ)
        return torch.tensor(GREY).to(device), to_yiq.to(device), torch.linalg.inv(to_yiq).to(device)


def _masked(policy: Policy, pixels: Tensor, drawn: Draws, fill: Tensor) -> Tensor:
    """Cut out a square, and blank stripes."""
    size = pixels.shape[-1]
    places = torch.arange(size, device=pixels.device)

    def within(length: Tensor | int, start: Tensor) -> Tensor:
        begin = (start * (size - length + 1)).long()
        return (places >= begin[:, None]) & (places < (begin + length)[:, None])

    blank = torch.zeros(len(pixels), size, size, dtype=torch.bool, device=pixels.device)
    if side := policy.hole_side(size):
        hole = within(side, drawn["cut_down"])[:, :, None] & within(side, drawn["cut_across"])[:, None, :]
        blank |= hole & (drawn["cut"] < policy.cutout_p)[:, None, None]
    if widest := round(policy.time_mask * size):
        blank |= within((drawn["wide"] * (widest + 1)).long(), drawn["wide_at"])[:, None, :]
    if highest := round(policy.frequency_mask * size):
        blank |= within((drawn["high"] * (highest + 1)).long(), drawn["high_at"])[:, :, None]
    return torch.where(blank[:, None], fill, pixels)


def _to_uint8(images: Tensor) -> Tensor:
    return images.round_().clamp_(0, 255).to(torch.uint8)
