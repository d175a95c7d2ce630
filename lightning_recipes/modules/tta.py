"""Test-time augmentation: several views of each image, as a module like any other.

Source: Krizhevsky et al. (2012), section 4.1 (flips and crops, averaged); the fast.ai course ("TTA").
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torchmetrics import MetricCollection
from typing_extensions import override

from lightning_recipes.compat.lightning import trainer_of
from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.evaluation.intervals import paired_difference
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.modules.evaluator import Evaluator

__all__ = ["VIEWS", "MultiViewClassifier"]

View = Callable[[Tensor], Tensor]


def _mirrored(images: Tensor) -> Tensor:
    return images.flip(-1)


def _crop(vertical: float, horizontal: float) -> View:
    """A crop of seven eighths of each side, resized back; 0 and 1 are the edges, 0.5 the middle."""

    def view(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        h, w = max(1, height * 7 // 8), max(1, width * 7 // 8)
        top, left = round((height - h) * vertical), round((width - w) * horizontal)
        part = images[..., top : top + h, left : left + w]
        return F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)

    return view


CROPS = [_crop(v, h) for v, h in ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1))]

DRAWN = 4  # views of the training augmentation

VIEWS: dict[str, list[View]] = {
    "flip": [_mirrored],
    "crops": CROPS,
    "flip_crops": [_mirrored, *CROPS, *(lambda images, crop=crop: _mirrored(crop(images)) for crop in CROPS)],
    "augment": [],
}
"""By name, what is seen of an image besides itself: ``flip`` mirrors it; ``crops`` are its middle and its corners,
seven eighths of each side; ``flip_crops`` are both, and the crops mirrored; ``augment`` are four draws of the training
augmentation, ``data.augment``, the same at every run."""


class MultiViewClassifier(Evaluator):
    """Averages the probabilities of several views of an image; the image itself is one of them.

    Args:
        inner: Gives the probabilities of a view.
        views: One of :data:`VIEWS`.

    Raises:
        UserError: There are no such views, or the members of an ensemble look at images of different sizes.
    """

    def __init__(self, inner: ClassificationModule | EnsembleClassifier, views: str) -> None:
        super().__init__()
        if views not in VIEWS:
            raise UserError(f"views: '{views}' is not one of {', '.join(VIEWS)}{did_you_mean(views, VIEWS)}")
        if isinstance(inner, EnsembleClassifier) and not inner.one_input:
            raise UserError(
                "views: the snapshots were judged on images of different sizes; take one of them, or leave views out"
            )
        self.inner, self.views, self.drawn = inner, VIEWS[views], DRAWN if views == "augment" else 0
        self.num_classes, self.class_names, self.task = inner.num_classes, inner.class_names, inner.task
        self.input_config, self.judged_input = inner.input_config, inner.judged_input
        self.reject_below = inner.reject_below
        self.differences: list[Tensor] = []
        self.add_metrics()
        self.eval()

    def _logits(self, images: Tensor) -> Sequence[Tensor]:
        """Logits of the image itself and of its views."""
        return [self.inner(images), *(self.inner(view(images)) for view in self.views)]

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W): the logarithm of the views' mean probabilities.

        Without the views of ``augment``, which are of a data module's images and not of tensors.
        """
        return self.task.mean_logits(self._logits(images))

    @override
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch of images, and note where they are right and the plain ones wrong."""
        every = [*self._logits(batch[0]), *(self.inner(images) for images in self._drawn(batch))]
        together = self.task.mean_logits(every)
        if trainer_of(self) is None or self.trainer.state.fn != "predict":  # whose images have no labels
            shares = [self.task.share_right(self.task.probabilities(one), batch[1]) for one in (together, every[0])]
            self.differences.append((shares[0] - shares[1]).cpu())
        return together

    def _drawn(self, batch: Any) -> Iterator[Tensor]:
        """Images of a batch as the training augmentation would show them."""
        if not self.drawn:
            return
        data, split = self.image_data(), self.split
        if data is None:
            raise UserError("views: augment needs an ImageDataModule, which draws the views; take flip or crops")
        for view in range(self.drawn):
            yield data.augmented_images(split, batch[2].tolist(), view).to(batch[0])

    @override
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return self.inner.compute_loss(logits, labels)

    @override
    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what a batch counts in the mean over a set."""
        return self.inner.loss_weight(labels)

    @override
    def configure_metrics(self, prefix: str) -> MetricCollection:
        """Return the module's own metrics."""
        return self.inner.configure_metrics(prefix)

    def gain(self) -> tuple[float, float, int]:
        """Return what the views add to the labels that are right, half of its 95 % interval, and the images.

        Of this process. Paired, as both judge the same images: mean and standard error of the differences.
        """
        found = torch.cat(self.differences).numpy()
        return *paired_difference(found), len(found)
