"""How far features carry, where the answer is known."""

import numpy as np
import pytest
from torch import Tensor

from lightning_recipes import ImageDataModule
from lightning_recipes.input_config import InputConfig
from lightning_recipes.suggest.probe import Probe, images_to_probe, probe

LOOKED_AT = InputConfig(8, (0.0,) * 3, (1.0,) * 3)


def pixels(images: Tensor) -> Tensor:
    return images.mean(dim=1).flatten(1)


@pytest.fixture(scope="module")
def digits() -> tuple[Probe, ImageDataModule]:
    data = ImageDataModule("sklearn:digits", val_fraction=0.5)
    return probe(data, pixels, LOOKED_AT, images_to_probe(data, 300)), data


def test_pixels_of_digits_tell_them_apart_as_everybody_finds(digits: tuple[Probe, ImageDataModule]) -> None:
    found, _ = digits
    assert found.images == 300
    assert 0.85 < found.accuracy < 0.97  # of a few hundred scans, strongly regularised
    assert found.by_neighbours / found.images > 0.9
    assert found.interval[0] < found.accuracy < found.interval[1]


def test_mirrored_digits_are_not_the_same_digits(digits: tuple[Probe, ImageDataModule]) -> None:
    mean, half = digits[0].mirrored_gain
    assert mean + half < -0.3


def test_a_first_part_of_the_images_has_every_class(digits: tuple[Probe, ImageDataModule]) -> None:
    labels = np.asarray(digits[1].opened.splits.train.labels)
    assert set(np.bincount(labels[images_to_probe(digits[1], 100)])) <= {9, 10, 11}
    assert len(images_to_probe(digits[1], 10**6)) == len(labels)


def test_a_class_of_one_image_is_no_error() -> None:
    data = ImageDataModule("sklearn:digits", val_fraction=0.5)
    labels = np.asarray(data.opened.splits.train.labels)
    few = [*np.flatnonzero(labels == 0)[:8], *np.flatnonzero(labels == 1)[:8], int(np.flatnonzero(labels == 2)[0])]
    assert probe(data, pixels, LOOKED_AT, [int(i) for i in few]).correct >= 12


@pytest.mark.slow
def test_two_images_of_many_classes_say_little_and_warn_of_nothing() -> None:
    data = ImageDataModule("fonts:letters", val_fraction=0.5)
    labels = np.asarray(data.opened.splits.train.labels)
    two = [int(i) for letter in range(data.num_classes) for i in np.flatnonzero(labels == letter)[:2]]
    assert probe(data, pixels, LOOKED_AT, two).images == 2 * data.num_classes
