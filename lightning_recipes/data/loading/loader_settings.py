"""What the loaders of a stage are made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_recipes.data.loading.dataset import ImageDataset
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.data.transforms.image_transforms import Transform, decoded_size, eval_transform, train_transform
from lightning_recipes.input_config import IMAGENET_INPUT, Fit, ImageBackend, InputConfig, of_channels
from lightning_recipes.stages.plan import Stage

__all__ = ["Augment", "LoaderSettings", "input_for"]

Augment = str | dict[str, Any] | list[Any]


@dataclass(frozen=True)
class LoaderSettings:
    """What the loaders of one stage are made with.

    Attributes:
        input: How a picture becomes an input.
        batch_size: Images a process a training batch.
        augment: A policy or a pipeline, as ``data.augment`` takes it.
        cache_features: Whether the head trains on what the frozen backbone gave once.
        feature_views: Of how many augmented views of each training image; None: of the image as evaluation sees it.
    """

    input: InputConfig
    batch_size: int
    augment: Augment
    cache_features: bool
    feature_views: int | None = None

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.input.image_size

    @property
    def min_size(self) -> int:
        """Shorter side in pixels down to which pictures may be decoded."""
        return decoded_size(self.input)

    def transform(self, *, train: bool) -> Transform:
        """Return what makes a tensor of an image.

        Raises:
            UserError: The augmentation is none that there is.
        """
        if train and self.augment != "none":
            return train_transform(self.augment, self.input)
        return eval_transform(self.input)

    def dataset(self, source: ImageSource, *, train: bool = False) -> ImageDataset:
        """Return the images of a source as training or evaluation sees them."""
        return ImageDataset(source, self.transform(train=train), min_size=self.min_size)


def input_for(
    stage: Stage | None,
    known: InputConfig | None,
    *,
    image_size: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    fit: Fit | None = None,
    image_backend: ImageBackend | None = None,
    channels: int = 3,
) -> InputConfig:
    """Return the input of a stage: its own values, else those given for all, else those the weights were made for.

    Args:
        stage: None outside any.
        known: What the weights were made for (default: ImageNet's values at 224 px).
        image_size: Given for all stages; None where it is not.
        mean: Likewise.
        std: Likewise.
        fit: Likewise.
        image_backend: Likewise.
        channels: Of an image.
    """
    known = known or IMAGENET_INPUT
    return InputConfig(
        (stage and stage.image_size) or image_size or known.image_size,
        tuple(mean or of_channels(known.mean, channels)),
        tuple(std or of_channels(known.std, channels)),
        known.interpolation,
        known.crop_pct,
        fit or known.fit,
        image_backend or known.image_backend,
    )
