"""What simple classifiers on the backbone's features say of labels, splits and augmentation; and what is to be beaten.

Source: Karpathy (2019), "A Recipe for Training Neural Networks", section 2: simple baselines first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lightning_recipes.checks.check import Check, failed, passed, warned
from lightning_recipes.evaluation.feature_probes import linear_right, nearest_vote
from lightning_recipes.evaluation.intervals import difference_interval, paired_difference, wilson_interval
from lightning_recipes.evaluation.out_of_fold import linear_classifier
from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = [
    "Features", "Probe", "check_augmentation", "check_baselines", "check_class_order", "check_colours", "check_labels",
]  # fmt: skip

UNREADABLE, HARD_TO_READ = 0.5, 0.35
"""Share of what a probe sees beyond chance that augmentation takes away."""
MIXED_UP = 0.25
"""Share of the validation images that are right only where the classes are named otherwise."""
WORSE = 0.1
"""By which validation images are surely harder than training images left out: more than chance does."""


@dataclass(frozen=True)
class Features:
    """Features of images and what they are labelled.

    Attributes:
        features: (N, F), float32.
        labels: (N,), int64.
    """

    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Probe:
    """What a linear classifier reaches on features of training images, each judged by the others.

    Attributes:
        train: What it is fitted on.
        right: Whether each image is, (N,).
    """

    train: Features
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, train: Features) -> "Probe":
        """Return the probe of features; images that are alone in their class are left out by whoever gives them."""
        return cls(train, linear_right(train.features, train.labels, (train.features,))[0])

    @property
    def accuracy(self) -> float:
        """Share of the images that are right."""
        return float(self.right.mean())

    @property
    def chance(self) -> float:
        """What one reaches who always says the most frequent class."""
        return float(torch.bincount(self.train.labels).max()) / len(self.right)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy, 95 %."""
        return wilson_interval(int(self.right.sum()), len(self.right))

    def of_view(self, features: Tensor) -> NDArray[np.bool_]:
        """Return whether each image is right from other features (N, F) of it, by classifiers fitted on its own."""
        return linear_right(self.train.features, self.train.labels, (features,))[0]


def check_labels(probe: Probe) -> Check:
    """Tell whether features say anything of the labels: of shuffled ones they do not.

    Args:
        probe: Of training images.
    """
    name, (low, high) = "labels", probe.interval
    measured = f"a linear probe of the features has {percent(probe.accuracy)} ({percent_range(low, high)})"
    expected = f"more than the {percent(probe.chance)} of the most frequent class"
    if low > probe.chance:
        return passed(name, measured, expected)
    advice = "look whether the labels belong to the images (figures/batch.png)"
    return warned(
        name, measured, expected, advice + "; features that say nothing may be those of an untrained backbone"
    )


def check_baselines(probe: Probe) -> Check:
    """Return what a training has to beat: a linear probe, the nearest neighbours, the most frequent class.

    Args:
        probe: Of training images.
    """
    train, images = probe.train, len(probe.right)
    near = int((nearest_vote(train.features, train.labels) == train.labels).sum())
    rows = (("linear probe", int(probe.right.sum())), ("5 nearest neighbours", near))
    said = [
        f"{what} {percent(right / images)} ({percent_range(*wilson_interval(right, images))})" for what, right in rows
    ]
    measured = f"{', '.join(said)}, most frequent class {percent(probe.chance)}; {images} images, each by the others"
    return passed("baselines", measured, "to be beaten by the training")


def check_class_order(probe: Probe, val: Features, names: Sequence[str]) -> Check:
    """Tell whether training and validation mean the same by their labels.

    A probe of the training images is asked for the validation images. Where its answers are right but for the names of
    the classes, the order of the classes differs between the splits.

    Args:
        probe: Of training images.
        val: Of validation images.
        names: Of the classes.
    """
    name, images = "validation", len(val.labels)
    said = linear_classifier(probe.train.features, probe.train.labels).predict(val.features.double().numpy())
    table = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(table, (val.labels.numpy(), said), 1)
    rows, columns = linear_sum_assignment(-table)
    right, renamed = int(np.trace(table)), int(table[rows, columns].sum())
    _, high = difference_interval(right, images, int(probe.right.sum()), len(probe.right))
    measured = f"{percent(right / images)} of the validation images right by a probe of the training images"
    expected = f"about the {percent(probe.accuracy)} that it has of training images left out"
    if high < 0 and renamed - right > MIXED_UP * images:
        mixed = [f"'{names[a]}' is '{names[b]}'" for a, b in zip(rows, columns, strict=True) if a != b and table[a, b]]
        what = f"{measured}, {percent(renamed / images)} were the classes named otherwise: {', '.join(mixed[:3])}"
        return failed(name, what, expected, "give both splits their classes in one order")
    if high < -WORSE:
        advice = "look whether the splits come from one place, and for groups that a split tore apart (data.group)"
        return warned(name, measured, expected, advice)
    return passed(name, measured, expected)


def check_augmentation(probe: Probe, augmented: Tensor) -> Check:
    """Tell whether a probe of images as they are still reads the augmented ones: what it cannot has lost its label.

    Args:
        probe: Of training images.
        augmented: Features (N, F) of the same images, augmented.
    """
    name, expected, seen = "augmentation", "nearly as many right as of the images as they are", probe.of_view(augmented)
    lost, half = paired_difference(probe.right.astype(float) - seen)
    measured = f"{percent(float(seen.mean()))} of the augmented images right, {percent(probe.accuracy)} as they are"
    share = (lost - half) / max(probe.accuracy - probe.chance, 1e-6)
    if probe.interval[0] <= probe.chance or share <= HARD_TO_READ:
        return passed(name, measured, expected)
    advice = "weaken data.augment; look at figures/batch.png whether you can still tell the classes"
    return (failed if share > UNREADABLE else warned)(name, measured, expected, advice)


def check_colours(probe: Probe, swapped: Tensor) -> Check:
    """Tell whether pretrained features say more of the images with red and blue swapped: then they are swapped now.

    Args:
        probe: Of training images as the network gets them.
        swapped: Features (N, F) of the same images with their channels the other way round.
    """
    name, expected = "colours", "no gain from swapping red and blue"
    other = Probe.of(Features(swapped, probe.train.labels)).right
    gain, half = paired_difference(other.astype(float) - probe.right)
    measured = f"{100 * gain:+.1f} ± {100 * half:.1f} points of a linear probe"
    if gain - half > 0:
        advice = "look whether the pictures are read as blue, green, red, as OpenCV does"
        return warned(name, measured, expected, advice)
    return passed(name, measured, expected)
