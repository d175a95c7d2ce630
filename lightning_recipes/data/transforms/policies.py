"""Augmentation policies by name: a crop, flips, colour, geometry, searched operations, and CutOut."""

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from lightning_recipes.components import Spec, parse_spec
from lightning_recipes.data.transforms.crops import CROPS
from lightning_recipes.data.transforms.searched import OPS
from lightning_recipes.errors import UserError, did_you_mean, refuse_bad_values

__all__ = ["ALTERNATE", "POLICIES", "Policy", "import_albumentations", "resolve_policy"]

KEY = "data.augment"
ALTERNATE = "alternate"


def import_albumentations() -> Any:
    """Import albumentations when it is first used: it takes a second, and calls home unless it is told not to."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations
    import cv2

    # OpenCV's threads do not survive a fork, and the loader has processes of its own.
    cv2.setNumThreads(0)
    return albumentations


@dataclass(frozen=True)
class Policy:
    """What may happen to a training image, in this order.

    Attributes:
        crop: ``resized`` (a random part of the image, resized; Szegedy et al. 2015), ``padded`` (a black border, then a
            random crop; the CIFAR standard) or ``centre`` (the evaluation's view).
        scale: Least and most share of the image's area in a ``resized`` crop, in (0, 1].
        ratio: Least and most width / height of a ``resized`` crop.
        border: Width of the border of a ``padded`` crop, as a share of the side, in [0, 1].
        flip: Mirror left and right, half of the time; ``alternate``: half of the images in the first epoch, and each
            image in every other epoch from then on (Jordan 2024, section 3.6), where ``data.cache`` is ``device``.
        rotate: Turn by up to so many degrees either way.
        shift: Move by up to this share of the side either way.
        jitter: Strength of brightness, contrast, saturation and a tenth of it in hue, in [0, 1].
        jitter_p: Share of the images whose colours are jittered, in [0, 1].
        hue: Largest turn of the hue either way, as a share of a full turn, in [0, 0.5] (default: ``jitter`` / 10).
        grey: Share of the images that lose their colours, in [0, 1] (Chen et al. 2020, "SimCLR", appendix A).
        blur: Share of the images that are blurred by a Gaussian with a standard deviation of 0.1 to 2 pixels, and a
            kernel of a tenth of the side, in [0, 1] (likewise).
        ops: ``none``, ``randaugment`` (Cubuk et al. 2020), ``trivialaugment`` (Mueller and Hutter 2021),
            ``autoaugment`` (Cubuk et al. 2019; what was found on ImageNet), ``autoaugment_cifar10`` (likewise), or
            ``augmix`` (Hendrycks et al. 2020), as torchvision has them.
        num_ops: Operations an image, of ``randaugment``.
        magnitude: Their strength, 0 to 30, of ``randaugment``.
        cutout: Side of the square that is cut out, as a share of the image's, in [0, 1); 0 cuts nothing (DeVries and
            Taylor 2017).
        cutout_p: Share of the images that are cut.
        time_mask: For spectrograms with time from left to right: widest stripe that is blanked, as a share of the
            width, in [0, 1]; its width and place are drawn (SpecAugment, Park et al. 2019).
        frequency_mask: Likewise a stripe of the height.
    """

    crop: str = "resized"
    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    border: float = 0.125
    flip: bool | str = True
    rotate: float = 0.0
    shift: float = 0.0
    jitter: float = 0.0
    jitter_p: float = 1.0
    hue: float | None = None
    grey: float = 0.0
    blur: float = 0.0
    ops: str = "none"
    num_ops: int = 2
    magnitude: int = 9
    cutout: float = 0.25
    cutout_p: float = 0.5
    time_mask: float = 0.0
    frequency_mask: float = 0.0

    @property
    def hue_turn(self) -> float:
        """Largest turn of the hue either way, as a share of a full turn."""
        return self.jitter / 10 if self.hue is None else self.hue

    @property
    def changes_colours(self) -> bool:
        """Whether colours may change."""
        return bool(self.jitter or self.hue or self.grey)

    def kernel_size(self, size: int) -> int:
        """Return the side of a blur's kernel in pixels, an odd number >= 3."""
        return max(3, round(size / 10) // 2 * 2 + 1)

    def border_width(self, size: int) -> int:
        """Return the width of the border of a ``padded`` crop, in pixels; images have so many on each side."""
        return max(1, int(self.border * size))

    def hole_side(self, size: int) -> int:
        """Return the side of the square that is cut out, in pixels; 0 where none is."""
        return max(1, round(self.cutout * size)) if self.cutout and self.cutout_p else 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, value, known in (
            ("crop", self.crop, CROPS),
            ("ops", self.ops, ("none", *OPS)),
            ("flip", self.flip, (True, False, ALTERNATE)),
        ):
            if value not in known:
                names = [str(one) for one in known]
                near = did_you_mean(str(value), names)
                raise UserError(f"{KEY}.{name}: '{value}' is not one of {', '.join(names)}{near}")
        if not (len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1] <= 1):
            raise UserError(f"{KEY}.scale: {list(self.scale)} are not two shares of the area, 0 < least <= most <= 1")
        if not (len(self.ratio) == 2 and 0 < self.ratio[0] <= self.ratio[1]):
            raise UserError(f"{KEY}.ratio: {list(self.ratio)} are not two ratios, 0 < least <= most")
        shares = (
            *("border", "shift", "jitter", "jitter_p", "grey", "blur"),
            *("cutout", "cutout_p", "time_mask", "frequency_mask"),
        )
        values = ((name, getattr(self, name)) for name in shares)
        refuse_bad_values(
            KEY,
            *((name, value, 0 <= value <= 1, "a number from 0 to 1") for name, value in values),
            ("rotate", self.rotate, 0 <= self.rotate <= 180, "a number of degrees from 0 to 180"),
            ("hue", self.hue, self.hue is None or 0 <= self.hue <= 0.5, "a share of a full turn from 0 to 0.5"),
        )
        if not (0 <= self.magnitude <= 30 and self.num_ops >= 1):
            raise UserError(f"{KEY}: num_ops {self.num_ops} and magnitude {self.magnitude} are not >= 1 and 0 to 30")


POLICIES = {
    "light": Policy(),
    "medium": Policy(scale=(0.25, 1.0), rotate=10.0, shift=0.05, jitter=0.2, cutout=0.33),
    "strong": Policy(scale=(0.15, 1.0), rotate=20.0, shift=0.1, jitter=0.4, cutout=0.5),
    "randaugment": Policy(ops="randaugment"),
    "trivialaugment": Policy(ops="trivialaugment"),
    "autoaugment": Policy(ops="autoaugment"),
    "augmix": Policy(ops="augmix"),
    "simclr": Policy(scale=(0.2, 1.0), jitter=0.4, jitter_p=0.8, hue=0.1, grey=0.2, cutout=0.0),
    "spectrogram": Policy(crop="centre", flip=False, cutout=0.0, time_mask=0.2, frequency_mask=0.2),
}


def resolve_policy(spec: Spec) -> Policy:
    """Return the policy that a recipe names, with the parameters that it changes.

    Raises:
        UserError: Unknown policy or parameter, or a value out of range.
    """
    name, changed = parse_spec(KEY, spec)
    if name not in POLICIES:
        known = ["none", *POLICIES]
        raise UserError(f"{KEY}: '{name}' is not a policy ({', '.join(known)}){did_you_mean(name, known)}")
    known = [f.name for f in fields(Policy)]
    for key in changed:
        if key not in known:
            raise UserError(f"{KEY}.{key}: policies have no such parameter{did_you_mean(key, known)}")
    for key in ("scale", "ratio"):
        if key in changed:
            changed[key] = tuple(changed[key])
    return replace(POLICIES[name], **changed)
