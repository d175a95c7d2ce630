"""What the network sees of the pictures: normalised as its weights expect, the same twice, its channels in order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from lightning_recipes.checks.check import Check, failed, passed, warned
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.forward import logits_of, on_device
from lightning_recipes.input_config import InputConfig
from lightning_recipes.modules.protocols import GivesProbabilities, backbone_of

__all__ = [
    "PictureColours",
    "Seen",
    "check_channels",
    "check_evaluation_repeats",
    "check_normalization",
    "check_training_images",
    "seen",
]

CLOSE_MEAN = 0.1
"""By which the mean of a channel may differ from that of the pictures, from 0 to 1: a crop leaves out what is there."""
CLOSE_STD = 1.6
"""Likewise the factor of their standard deviations: a smaller picture has less detail."""
FAR_MEAN, FAR_STD = 0.3, 2.5
"""Likewise between training and evaluation, which augmentation sets apart."""


@dataclass(frozen=True)
class Seen:
    """Images as the network sees them.

    Attributes:
        images: (N, 3, H, W), float32 on the CPU.
        labels: (N,) or (N, C).
        indices: (N,), positions in the split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


def seen(trainer: pl.Trainer, module: GivesProbabilities, batches: Any, most: int) -> Seen:
    """Return images as they come to the backbone, whatever a module of one's own does to them before.

    Args:
        trainer: Whose device and precision are used.
        module: In any mode.
        batches: Of images, as a loader gives them.
        most: Images at most.
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in islice(batches, most):
        if sum(len(images) for images, *_ in parts) >= most:
            break
        batch = on_device(trainer, batch)
        with _at_backbone(trainer.lightning_module) as came:
            logits_of(trainer, module, batch)
        images = came[0] if came else batch[0]
        parts.append((images.float().cpu(), batch[1].cpu(), batch[2].cpu()))
    images, labels, indices = (torch.cat(part)[:most] for part in zip(*parts, strict=True))
    return Seen(images, labels, indices)


@dataclass(frozen=True)
class PictureColours:
    """Red, green and blue of pictures as they are read, from 0 to 1.

    Attributes:
        means: (N, 3).
        stds: (N, 3), within a picture.
    """

    means: Tensor
    stds: Tensor

    @classmethod
    def of(cls, data: ImageDataModule, indices: Sequence[int]) -> "PictureColours":
        """Read training images, one at a time: a whole photograph is large."""
        pictures = map(data.opened.splits.train.read, indices)
        rows = [(one.mean(axis=(0, 1)) / 255, one.std(axis=(0, 1)) / 255) for one in pictures]
        means, stds = (torch.tensor(np.array(part), dtype=torch.float32) for part in zip(*rows, strict=True))
        return cls(means, stds)


@contextmanager
def _at_backbone(module: pl.LightningModule) -> Iterator[list[Tensor]]:
    """Note what the backbone is given; nothing where there is none."""
    came: list[Tensor] = []
    network = backbone_of(module)
    if network is None:
        yield came
        return
    hook = network.backbone.register_forward_pre_hook(lambda layer, inputs: came.append(inputs[0].detach()))
    try:
        yield came
    finally:
        hook.remove()


def check_normalization(
    pictures: PictureColours, evaluated: Seen, used: InputConfig, weights: InputConfig | None
) -> Check:
    """Tell whether images are normalised once, by the mean and std that the weights were made for.

    The pictures themselves say what the network should see: ``(mean - m) / s`` in each channel.

    Args:
        pictures: Training images as they are read.
        evaluated: As evaluation sees them.
        used: How pictures become inputs.
        weights: How they did where the backbone's weights were made; None of weights that are fresh.
    """
    name = "normalization"
    expected = f"mean {_row(used.mean)}, std {_row(used.std)} of the pictures, once"
    if weights is not None and not np.allclose([*used.mean, *used.std], [*weights.mean, *weights.std], atol=0.02):
        measured = f"mean {_row(used.mean)}, std {_row(used.std)}"
        known = f"mean {_row(weights.mean)}, std {_row(weights.std)}, which the weights were made for"
        return failed(name, measured, known, "leave data.mean and data.std out; the weights' own are then used")
    mean, std = pictures.means.mean(dim=0), pictures.stds.mean(dim=0)
    given = _channels(evaluated.images)
    what = _nearest_normalization(given, mean, std, used)
    measured = f"channels of mean {_row(given[0])} and std {_row(given[1])}"
    if what is None:
        return passed(name, measured, expected)
    advice = "look at what normalises: the data module does; forward and hooks of one's own must not"
    return failed(name, f"{measured}: {what}", expected, advice)


def _nearest_normalization(given: tuple[Tensor, Tensor], mean: Tensor, std: Tensor, used: InputConfig) -> str | None:
    """What was done to the pictures; None where it is what should be."""
    m, s = torch.tensor(used.mean), torch.tensor(used.std)
    once = (mean - m) / s, std / s
    others = {
        "not normalised": (mean, std),
        "normalised twice": ((once[0] - m) / s, once[1] / s),
        "values from 0 to 255, not normalised": (255 * mean, 255 * std),
        "normalised by values for 0 to 1, though they go to 255": ((255 * mean - m) / s, 255 * std / s),
        "not as mean and std say": (given[0], given[1]),
    }
    off, ratio = (given[0] - once[0]).abs() * s, given[1] / once[1].clamp_min(1e-6)
    if float(off.max()) <= CLOSE_MEAN and float(ratio.min()) >= 1 / CLOSE_STD and float(ratio.max()) <= CLOSE_STD:
        return None

    def distance(known: tuple[Tensor, Tensor]) -> float:
        scale = known[1].clamp_min(1e-3)
        return float(((given[0] - known[0]) / scale).abs().max() + (given[1] / scale).log().abs().max())

    near = {what: distance(known) for what, known in others.items()}
    best = min((what for what in near if near[what] > 0), key=near.__getitem__)
    return best if near[best] < 1.0 else "not as mean and std say"


def _channels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std of each channel within an image, as means over the images."""
    return images.mean(dim=(2, 3)).mean(dim=0), images.std(dim=(2, 3)).mean(dim=0)


def check_channels(pictures: PictureColours, evaluated: Seen) -> Check:
    """Tell whether red, green and blue come to the network in the order in which the pictures are read.

    By the correlation over images of each channel's mean with that of the pictures; grey pictures tell nothing.

    Args:
        pictures: Training images as they are read.
        evaluated: As evaluation sees them.
    """
    name, expected = "channels", "red, green, blue, as the pictures are read"
    read, given = pictures.means, evaluated.images.mean(dim=(2, 3))
    # What sets a channel apart from the grey of its picture.
    colours = [each - each.mean(dim=1, keepdim=True) for each in (read, _standardised(given, read))]
    if float(colours[0].abs().mean()) < 0.005:
        return passed(name, "the pictures are grey", expected)
    agreement = torch.tensor(
        [
            [float(torch.corrcoef(torch.stack([colours[0][:, i], colours[1][:, j]]))[0, 1]) for j in range(3)]
            for i in (0, 1, 2)
        ]
    )
    straight, swapped = float(agreement.diagonal().mean()), float(agreement.flip(1).diagonal().mean())
    if swapped > straight + 0.2:
        what = "blue, green, red"
        return failed(
            name, what, expected, "look for a flip of the channels, as images of OpenCV need and others do not"
        )
    return passed(name, "as they are read", expected)


def _standardised(given: Tensor, like: Tensor) -> Tensor:
    """Channel means with the mean and spread that those of the pictures have."""
    return (given - given.mean(dim=0)) / given.std(dim=0).clamp_min(1e-6) * like.std(dim=0) + like.mean(dim=0)


def check_evaluation_repeats(first: Seen, second: Seen) -> Check:
    """Tell whether evaluation sees the same images twice."""
    name, expected = "evaluation", "the same images each time"
    apart = float((first.images - second.images).abs().max()) if len(first.images) == len(second.images) else 1.0
    if apart > 0 or not torch.equal(first.labels, second.labels):
        what = f"images differ by up to {apart:.3g} from one pass to the next"
        return failed(name, what, expected, "leave augmentation out of validation: its figures are of these images")
    return passed(name, "the same twice", expected)


def check_training_images(trained: Seen, evaluated: Seen, used: InputConfig) -> Check:
    """Tell whether training and evaluation images are of one size and one normalisation.

    Args:
        trained: As training sees them, augmented.
        evaluated: As evaluation does.
        used: How pictures become inputs.
    """
    name, expected = "training_images", "about as bright and as varied as those of evaluation"
    s = torch.tensor(used.std)
    (mean, std), (known_mean, known_std) = _channels(trained.images), _channels(evaluated.images)
    off, ratio = ((mean - known_mean) * s).abs().max(), (std / known_std.clamp_min(1e-6)).log().abs().max().exp()
    measured = f"means differ by up to {float(off):.2f} of the range, spread by a factor of up to {float(ratio):.2f}"
    if float(off) > FAR_MEAN or float(ratio) > FAR_STD:
        advice = "normalise both alike; look at how strong data.augment changes colour and brightness"
        return warned(name, measured, expected, advice)
    return passed(name, measured, expected)


def _row(values: Any) -> str:
    return "/".join(f"{float(value):.2f}" for value in values)
