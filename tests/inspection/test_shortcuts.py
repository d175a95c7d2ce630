"""What gives the label away is named and measured, and what does not is not warned of."""

from pathlib import PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from lightning_recipes.inspection.images import ImageSet, choose
from lightning_recipes.inspection.measure import RECORD, Note
from lightning_recipes.inspection.shortcuts import Shortcut, find_shortcuts, name_order


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for what is planted, in half of the time."""
    monkeypatch.setattr("lightning_recipes.inspection.shortcuts.TREES", 10)


def images(count: int = 180, classes: int = 3, name: str = "{number:04d}.jpg", seed: int = 0) -> ImageSet:
    """Images that differ by chance alone, numbered across the classes."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % classes).astype(np.int64)
    records = np.zeros(count, RECORD)
    records["seen"] = True
    records["bytes"] = generator.integers(900, 1100, count)
    records["width"], records["height"] = generator.integers(90, 110, (2, count))
    for field in ("grey", "colour", "corners"):
        records[field] = generator.integers(60, 200, records[field].shape)
    names = [name.format(number=number, label=label) for number, label in enumerate(labels)]
    split = np.zeros(count, np.int64)
    return ImageSet(names, labels, split, [f"class{i}" for i in range(classes)], ["train"], records, [Note()] * count)


def found(given: ImageSet) -> dict[str, Shortcut]:
    return {one.cue: one for one in find_shortcuts(given, ())}


def plant(given: ImageSet, cue: str, noise: NDArray[np.float64]) -> None:
    """Make a cue follow the label, but for noise of one deviation of a class's step."""
    told = given.labels + noise
    if cue == "file size":
        given.records["bytes"] = 1000 + 100 * told
    elif cue == "width and height":
        given.records["width"] = 100 + 20 * told
    elif cue == "brightness":
        given.records["colour"] = (100 + 20 * told)[:, None, None, None]
    elif cue == "corner pixels":
        given.records["corners"][:, 2, 1] = 100 + 20 * told


@pytest.mark.parametrize("cue", ["file size", "width and height", "brightness", "corner pixels"])
def test_a_cue_that_is_planted_is_warned_of_and_no_other(cue: str) -> None:
    given = images()
    plant(given, cue, np.random.default_rng(1).normal(0, 0.25, len(given)))
    cues = found(given)
    assert [name for name, one in cues.items() if one.warned] == [cue]
    # Of two neighbours a step apart with noise of a quarter step, 2.3 % are on the wrong side.
    assert cues[cue].low < 0.97
    assert cues[cue].accuracy == pytest.approx(0.955, abs=0.06)
    assert cues[cue].chance == pytest.approx(1 / 3)


def test_formats_that_follow_the_label_are_warned_of() -> None:
    given = images(name="{number:04d}.{label}")
    assert found(given)["file format"].accuracy == 1.0
    assert "file format" not in found(images())


def test_names_that_were_given_class_by_class_are_warned_of() -> None:
    given = images()
    order = np.argsort(np.argsort(given.labels, kind="stable"))
    named = ImageSet([f"{i}.jpg" for i in order], *list(vars(given).values())[1:7])
    assert found(named)["order of file names"].accuracy > 0.97
    assert not found(given)["order of file names"].warned


def test_rare_classes_count_as_much_as_common_ones() -> None:
    given = images(400, 2)
    given.labels[:] = np.arange(400) % 20 == 0
    assert all(one.accuracy < 0.65 and not one.warned for one in found(given).values())


def test_too_few_images_say_nothing() -> None:
    assert find_shortcuts(images(30), ()) == []


def test_copies_are_left_out() -> None:
    given = images(90)
    kept = choose(given, range(45), 3000)
    assert kept.tolist() == list(range(45, 90))
    assert np.bincount(given.labels[choose(given, (), 30)]).tolist() == [10, 10, 10]


def test_names_are_ordered_by_their_numbers_without_folders_and_classes() -> None:
    names = ["x/dog_2.jpg", "y/cat_10.jpg", "x/dog_1.jpg", "y/cat_3.jpg"]
    classes = [PurePosixPath(name).stem.split("_")[0] for name in names]
    order = name_order(names, classes)
    assert order is not None
    assert order.tolist() == [1, 3, 0, 2]


def test_numbers_that_begin_anew_in_each_class_are_no_order() -> None:
    assert name_order([f"{label}/{i}.jpg" for label in "ab" for i in range(5)], ["a"] * 5 + ["b"] * 5) is None
