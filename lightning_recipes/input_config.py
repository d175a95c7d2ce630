"""How a picture becomes an input of a network; it travels with the weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

__all__ = ["IMAGENET_INPUT", "MIN_IMAGE_SIZE", "ExpectsInput", "Fit", "ImageBackend", "InputConfig", "of_channels"]

Fit = Literal["crop", "pad", "squish"]
ImageBackend = Literal["torch", "pillow"]

MIN_IMAGE_SIZE = 8
"""Side in pixels below which no picture shows anything: scikit-learn's digits, the smallest known set, have 8."""


@dataclass(frozen=True)
class InputConfig:
    """What is done to a picture before the network sees it.

    Attributes:
        image_size: Side in pixels.
        mean: Per channel, in [0, 1].
        std: Per channel.
        interpolation: Of resizing: ``bilinear``, ``bicubic``, ``lanczos`` or ``nearest``.
        crop_pct: Side of the centre crop as a share of the resized image, in (0, 1].
        fit: How a picture that is not square becomes one: ``crop`` cuts off what lies beyond, ``pad`` lays it on a
            square of the mean colour, ``squish`` changes its proportions. What is padded or squished is not cut by
            ``crop_pct``: it is seen whole.
        image_backend: What resizes: ``torch`` or ``pillow``.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    crop_pct: float = 1.0
    fit: Fit = "crop"
    image_backend: ImageBackend = "torch"

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """Return what a file says, whose lists were tuples; files from before there was a choice are Pillow's."""
        return cls(**{"image_backend": "pillow", **saved, "mean": tuple(saved["mean"]), "std": tuple(saved["std"])})


def of_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return a mean or std of red, green and blue for other channels.

    One channel has their mean. More take them in turns, as timm repeats the weights of a first layer that was made for
    three.

    Example:
        >>> of_channels((0.25, 0.5, 0.75), 1), of_channels((0.25, 0.5, 0.75), 5)
        ((0.5,), (0.25, 0.5, 0.75, 0.25, 0.5))
    """
    if channels == len(values):
        return tuple(values)
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[channel % len(values)] for channel in range(channels))


IMAGENET_INPUT = InputConfig(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop_pct=0.875)
"""Of a network that does not say: the mean and std of ImageNet's pictures, and its usual crop."""


@runtime_checkable
class ExpectsInput(Protocol):
    """A module that says how pictures become its inputs; one that does not gets ImageNet's values.

    Attributes:
        input_config: What its weights were made for.
        judged_input: What they were judged with; None before any training.
    """

    input_config: InputConfig
    judged_input: InputConfig | None
