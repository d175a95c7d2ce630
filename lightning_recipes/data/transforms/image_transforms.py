"""From an image to a normalised tensor: the view that evaluation sees, and augmented views drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lightning_recipes.data.transforms.policies import Policy, resolve_policy
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import Fit, InputConfig

__all__ = [
    "EvalTransform",
    "PipelineTransform",
    "PolicyTransform",
    "Transform",
    "decoded_size",
    "eval_transform",
    "train_transform",
]

Array = NDArray[np.uint8]
Box = tuple[float, float, float, float]
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Transform(Protocol):
    """Makes a tensor of an image."""

    def __call__(self, image: Array, seed: int) -> Tensor:
        """Return (3, size, size), float32, normalised, of (H, W, 3), uint8; the seed decides every draw."""
        ...


@dataclass(frozen=True)
class Frame:
    """What all transforms share: the size, the resampling and the normalisation.

    Attributes:
        size: Side in pixels.
        mean: Per channel, in [0, 1].
        std: Per channel.
        interpolation: ``bilinear``, ``bicubic``, ``lanczos`` or ``nearest``.
        fit: ``crop``, ``pad`` or ``squish``.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    fit: Fit = "crop"

    def opened(self, image: Array, side: int | None = None) -> Image.Image:
        """Return a picture as crops are taken of it: as it is, or made square.

        Args:
            image: (H, W, 3).
            side: Of the square in pixels (default: the longer side of the picture, or twice the input's where that is
                less, as no crop needs more).
        """
        picture = Image.fromarray(image)
        if self.fit == "crop" or picture.width == picture.height:
            return picture
        longest = max(picture.size)
        side = side or min(longest, 2 * self.size)
        if self.fit == "squish":
            return self.resize(picture, (side, side))
        width, height = (max(1, round(length * side / longest)) for length in picture.size)
        square = Image.new("RGB", (side, side), tuple(round(255 * value) for value in self.mean))
        square.paste(self.resize(picture, (width, height)), ((side - width) // 2, (side - height) // 2))
        return square

    def resize(self, image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
        """Resize, or resize a part of the image.

        Pillow's, not OpenCV's: it filters what it shrinks, as it was when the weights were trained; without that, small
        models lose accuracy to aliasing.
        """
        resampling = RESAMPLING.get(self.interpolation, Image.Resampling.BICUBIC)
        return image.resize(size, resampling, box)

    def centre(self, image: Image.Image, crop_pct: float) -> Image.Image:
        """Resize the shorter side to size / crop_pct and cut out the centre, as timm's evaluation does."""
        short = int(self.size / crop_pct)
        width, height = image.size
        scale = short / min(width, height)
        if min(width, height) != short:
            image = self.resize(image, (max(short, int(width * scale)), max(short, int(height * scale))))
        left, top = round((image.width - self.size) / 2), round((image.height - self.size) / 2)
        return image.crop((left, top, left + self.size, top + self.size))

    def normalise(self, image: Array) -> Tensor:
        """Return the tensor of an image."""
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
        scale = torch.tensor([255.0 * s for s in self.std])[:, None, None]
        return tensor.sub_(torch.tensor([255.0 * m for m in self.mean])[:, None, None]).div_(scale)


@dataclass(frozen=True)
class EvalTransform:
    """The centre of the image, without a draw."""

    frame: Frame
    crop_pct: float = 1.0

    def __call__(self, image: Array, seed: int = 0) -> Tensor:
        """Return the tensor; the seed is not used."""
        opened = self.frame.opened(image, self.frame.size)
        return self.frame.normalise(np.asarray(self.frame.centre(opened, self.crop_pct)))


@dataclass
class PolicyTransform:
    """A policy by name: a crop, then what the policy draws on it."""

    frame: Frame
    policy: Policy
    _pipeline: Any = field(default=None, repr=False, compare=False)

    def __call__(self, image: Array, seed: int) -> Tensor:
        """Return the tensor of a view that is a function of image and seed."""
        if self._pipeline is None:
            fill = [255 * m for m in self.frame.mean]
            self._pipeline = self.policy.pipeline(self.frame.size, fill)
        view = self.policy.crop_view(self.frame, self.frame.opened(image), np.random.default_rng(seed))
        view = self.policy.search_ops(view, seed)
        self._pipeline.set_random_seed(seed)
        return self.frame.normalise(self._pipeline(image=np.asarray(view))["image"])

    def __getstate__(self) -> dict[str, Any]:
        return {"frame": self.frame, "policy": self.policy, "_pipeline": None}


@dataclass
class PipelineTransform:
    """A user's own albumentations pipeline, then the evaluation's view of what it gives."""

    frame: Frame
    steps: Sequence[Any]
    _pipeline: Any = field(default=None, repr=False, compare=False)

    def __call__(self, image: Array, seed: int) -> Tensor:
        """Return the tensor of a view that is a function of image and seed."""
        if self._pipeline is None:
            from lightning_recipes.data.transforms.pipelines import build_pipeline

            self._pipeline = build_pipeline(self.steps)
        self._pipeline.set_random_seed(seed)
        view = self._pipeline(image=image)["image"]
        if view.ndim != 3 or view.dtype != np.uint8:
            raise UserError(
                f"data.augment: the pipeline gives {view.dtype} of shape {view.shape}; leave out Normalize and ToTensor"
            )
        if view.shape[:2] != (self.frame.size, self.frame.size):
            view = np.asarray(self.frame.centre(self.frame.opened(view), 1.0))
        return self.frame.normalise(view)

    def __getstate__(self) -> dict[str, Any]:
        return {"frame": self.frame, "steps": self.steps, "_pipeline": None}


def decoded_size(input_config: InputConfig) -> int:
    """Return down to which shorter side, in pixels, a picture may be decoded.

    Twice the input's: a crop of a part of the picture is not blown up from too few pixels.
    """
    return 2 * input_config.image_size


def eval_transform(input_config: InputConfig) -> Transform:
    """Return the view that evaluation sees."""
    return EvalTransform(_frame(input_config), input_config.crop_pct if input_config.fit == "crop" else 1.0)


def train_transform(augment: str | dict[str, Any] | list[Any], input_config: InputConfig) -> Transform:
    """Return augmented views.

    Args:
        augment: A policy by name, a mapping of a name and its parameters, or a list of albumentations transforms.
        input_config: What comes out; its ``crop_pct`` is evaluation's alone.

    Raises:
        UserError: Unknown policy, parameter or transform; the text names ``data.augment``.
    """
    frame = _frame(input_config)
    if isinstance(augment, list):
        from lightning_recipes.data.transforms.pipelines import build_pipeline

        build_pipeline(augment)  # so that a mistake is found before a worker does
        return PipelineTransform(frame, augment)
    policy = resolve_policy(augment)
    policy.pipeline(input_config.image_size, [0.0, 0.0, 0.0])
    return PolicyTransform(frame, policy)


def _frame(given: InputConfig) -> Frame:
    return Frame(given.image_size, given.mean, given.std, given.interpolation, given.fit)
