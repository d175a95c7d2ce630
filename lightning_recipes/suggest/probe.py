"""How far the features of a backbone carry, before any of its layers is trained."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_recipes.data.batch import Batch
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.eval_sampler import stratified_order
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.feature_probes import linear_right, nearest_vote
from lightning_recipes.evaluation.intervals import paired_difference, wilson_interval
from lightning_recipes.input_config import InputConfig

__all__ = ["Probe", "images_to_probe", "probe", "seconds_an_image"]


@dataclass(frozen=True)
class Probe:
    """What classifiers on frozen features reach on training images that they were not fitted on.

    Attributes:
        size: Side of the images in pixels.
        images: How many there were.
        correct: Of them, by a logistic regression on the other folds.
        by_neighbours: Of them, by a vote of the five nearest others (cosine).
        mirrored_gain: Mean and half of the 95 % interval of what mirroring left and right adds to the accuracy, image
            by image; the regression is fitted on images that were not mirrored.
        seconds_an_image: To read it and run the frozen backbone.
    """

    size: int
    images: int
    correct: int
    by_neighbours: int
    mirrored_gain: tuple[float, float]
    seconds_an_image: float

    @property
    def accuracy(self) -> float:
        """Of the linear classifier."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson_interval(self.correct, self.images)


def images_to_probe(data: ImageDataModule, most: int) -> list[int]:
    """Return positions of training images, of each class its share, at least two where there are.

    Args:
        data: Whose training images.
        most: About so many; more where two of each class are more.
    """
    labels = np.asarray(data.opened.splits.train.labels)
    order = stratified_order(labels, seed=0)
    first, rest = order[:most], order[most:]
    lacking = np.maximum(0, 2 - np.bincount(labels[first], minlength=data.num_classes))
    for index in rest[: len(rest) if lacking.any() else 0]:
        if lacking[labels[index]]:
            lacking[labels[index]] -= 1
            first = np.append(first, index)
    chosen: list[int] = first.tolist()
    return chosen


def seconds_an_image(
    data: ImageDataModule, extract: Callable[[Tensor], Tensor], looked_at: InputConfig, indices: Sequence[int]
) -> float:
    """Return how long it takes to read an image and run the backbone on it; arguments as of :func:`probe`."""
    began = time.perf_counter()
    for batch in data.evaluation_loader("train", looked_at, indices):
        extract(batch.images)
    return (time.perf_counter() - began) / len(indices)


def probe(
    data: ImageDataModule, extract: Callable[[Tensor], Tensor], looked_at: InputConfig, indices: Sequence[int]
) -> Probe:
    """Fit simple classifiers on features, fold by fold.

    Args:
        data: Whose training images.
        extract: From images (N, 3, H, W) to features (N, F), both on the CPU.
        looked_at: How pictures become images.
        indices: Positions of the images.

    Raises:
        UserError: Fewer than two classes have two of them.
    """
    began, features, mirrored, labels = time.perf_counter(), [], [], []
    seconds = 0.0
    for batch in data.evaluation_loader("train", looked_at, indices):
        assert isinstance(batch, Batch)
        features.append(extract(batch.images))
        labels.append(batch.labels)
        seconds += time.perf_counter() - began
        mirrored.append(extract(batch.images.flip(-1)))
        began = time.perf_counter()
    y = torch.cat(labels)
    several = torch.bincount(y)[y] > 1  # an image that is alone in its class cannot be told by others
    if int((torch.bincount(y) > 1).sum()) < 2:
        raise UserError(
            "data.root: fewer than two classes have two training images, too few to see how far features carry; begin "
            "with fit --config finetune"
        )
    x, flipped, y = torch.cat(features)[several], torch.cat(mirrored)[several], y[several]
    right, right_mirrored = linear_right(x, y, (x, flipped))
    return Probe(
        size=looked_at.image_size,
        images=len(y),
        correct=int(right.sum()),
        by_neighbours=int((nearest_vote(x, y) == y).sum()),
        mirrored_gain=paired_difference(right_mirrored.astype(float) - right),
        seconds_an_image=seconds / len(several),
    )
