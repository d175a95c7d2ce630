"""A first layer that is set by the statistics of the training images, before anything is trained."""

from typing import Protocol, runtime_checkable

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.protocols import require_backbone
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["StemWhitening"]


@runtime_checkable
class CanWhiten(Protocol):
    """A backbone whose first layer can be set so."""

    def whiten_(self, images: Tensor) -> None:
        """Set the first layer by images (N, C, H, W), normalised."""
        ...


class StemWhitening(pl.Callback):
    """Set the stem of a backbone to whiten the patches of the training images, once, as a run begins.

    The images are those that evaluation sees, drawn by the seed. A run that goes on has its stem in the checkpoint. Of
    the backbones here ``airbench94`` has such a stem; another has it by a method ``whiten_(images)``.

    Source: Jordan (2024), "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", section 3.2; Page (2019), "How to train
    your ResNet", part 8.

    When: from scratch, in few epochs. Not with: pretrained weights, whose stem expects its images as they are.

    Args:
        images: Training images that are looked at, >= 2, at most as many as there are.

    Raises:
        UserError: The value is out of range; at the start, the backbone has no such stem, or the data module is
            none of ours.
    """

    def __init__(self, images: int = 5000) -> None:
        refuse_bad_values("StemWhitening", ("images", images, images >= 2, "a whole number >= 2"))
        self.images = images

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the stem of a run that begins."""
        backbone, data = require_backbone(pl_module, "StemWhitening").backbone, image_data_of(trainer)
        if not isinstance(backbone, CanWhiten):
            raise UserError(
                f"StemWhitening: {type(backbone).__name__} has no stem that can be set (whiten_); give model.backbone "
                "airbench94, or leave it out"
            )
        if data is None:
            raise UserError("StemWhitening: takes its images from an ImageDataModule; give one, or leave it out")
        if trainer.ckpt_path is not None:
            return
        count = len(data.opened.splits.train)
        drawn = numpy_generator_for("whitening").permutation(count)[: self.images]
        images = data.evaluation_images("train", drawn.tolist(), data.input_config)
        backbone.whiten_(images.to(pl_module.device))
