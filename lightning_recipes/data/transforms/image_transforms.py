"""From a picture to an input: the view that evaluation sees, and augmented views drawn from a seed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.data.batch import normalise
from lightning_recipes.data.transforms.frame import Frame, frame_of
from lightning_recipes.data.transforms.policies import ALTERNATE, Policy, resolve_policy
from lightning_recipes.data.transforms.views import draw_view
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig

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


@dataclass
class Transform(ABC):
    """Makes an input of a picture.

    Attributes:
        input: What comes out.
    """

    input: InputConfig
    frame: Frame = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lay out the frame."""
        self.frame = frame_of(self.input)

    @abstractmethod
    def pixels(self, image: Array, seed: int) -> Tensor:
        """Return (C, size, size), uint8, of (H, W, C), uint8; the seed decides every draw."""

    def __call__(self, image: Array, seed: int = 0) -> Tensor:
        """Return (C, size, size), float32, normalised; arguments as of :meth:`pixels`."""
        return normalise(self.pixels(image, seed), self.input.mean, self.input.std)


@dataclass
class EvalTransform(Transform):
    """The centre of the image, without a draw."""

    def pixels(self, image: Array, seed: int = 0) -> Tensor:
        """Return the view; the seed is not used."""
        opened = self.frame.opened(_tensor_of(image), self.frame.size)
        return self.frame.centre(opened, self.input.crop_pct if self.input.fit == "crop" else 1.0)


@dataclass
class PolicyTransform(Transform):
    """A policy by name: a crop, then what the policy draws on it."""

    policy: Policy

    def pixels(self, image: Array, seed: int) -> Tensor:
        """Return a view that is a function of image and seed."""
        return draw_view(self.policy, self.frame, self.frame.opened(_tensor_of(image)), seed)


@dataclass
class PipelineTransform(Transform):
    """A user's own albumentations pipeline, then the evaluation's view of what it gives."""

    steps: Sequence[Any]
    _pipeline: Any = field(default=None, repr=False, compare=False)

    def pixels(self, image: Array, seed: int) -> Tensor:
        """Return a view that is a function of image and seed."""
        if self._pipeline is None:
            from lightning_recipes.data.transforms.pipelines import build_pipeline

            self._pipeline = build_pipeline(self.steps)
        self._pipeline.set_random_seed(seed)
        view = self._pipeline(image=image)["image"]
        if view.ndim != 3 or view.dtype != np.uint8:
            raise UserError(
                f"data.augment: the pipeline gives {view.dtype} of shape {view.shape}; leave out Normalize and ToTensor"
            )
        pixels = _tensor_of(view)
        if view.shape[:2] != (self.frame.size, self.frame.size):
            pixels = self.frame.centre(self.frame.opened(pixels), 1.0)
        return pixels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pipeline": None}


def _tensor_of(image: Array) -> Tensor:
    """Return (C, H, W) of (H, W, C), in the same memory where it may be written."""
    backwards = any(step < 0 for step in image.strides)  # as of a view that turns BGR into RGB
    return torch.from_numpy(image.copy() if backwards else np.require(image, requirements="W")).permute(2, 0, 1)


def decoded_size(input_config: InputConfig) -> int:
    """Return down to which shorter side, in pixels, a picture may be decoded.

    Twice the input's: a crop of a part of the picture is not blown up from too few pixels.
    """
    return 2 * input_config.image_size


def eval_transform(input_config: InputConfig) -> Transform:
    """Return the view that evaluation sees."""
    return EvalTransform(input_config)


def train_transform(augment: str | dict[str, Any] | list[Any], input_config: InputConfig) -> Transform:
    """Return augmented views.

    Args:
        augment: A policy by name, a mapping of a name and its parameters, or a list of albumentations transforms.
        input_config: What comes out; its ``crop_pct`` is evaluation's alone.

    Raises:
        UserError: Unknown policy, parameter or transform; the text names ``data.augment``.
    """
    if isinstance(augment, list):
        from lightning_recipes.data.transforms.pipelines import build_pipeline

        build_pipeline(augment)  # so that a mistake is found before a worker does
        return PipelineTransform(input_config, augment)
    policy, channels = resolve_policy(augment), len(input_config.mean)
    if policy.flip == ALTERNATE:
        raise UserError("data.augment.flip: alternate is drawn with data.cache: device alone; give true, or that")
    if policy.ops != "none" and channels != 3:
        raise UserError(
            f"data.augment: {policy.ops} changes red, green and blue, and data.channels is {channels}; "
            "give light, medium, strong or spectrogram"
        )
    return PolicyTransform(input_config, policy)
