"""A run that goes on with other images than it was begun with says so."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.data.datamodule import ImageDataModule
from tests.pictures import class_folders
from tests.small import KeepEvery, classifier, fit


def images(root: Path) -> ImageDataModule:
    return ImageDataModule(str(root), image_size=16, batch_size=4, num_workers=0, augment="none")


def go_on(folder: Path, root: Path) -> None:
    fit(classifier(num_classes=2), images(root), max_epochs=2, ckpt_path=folder / "step-03.ckpt")


def test_other_images_are_named_and_moved_ones_are_not(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for split, count in (("train", 6), ("val", 3)):
        class_folders(root / split, count)
    keep: dict[str, Any] = {"enable_checkpointing": True, "default_root_dir": tmp_path}
    fit(classifier(num_classes=2), images(root), KeepEvery(tmp_path, "step"), max_epochs=2, **keep)
    moved = root.rename(tmp_path / "moved")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="data: the")
        go_on(tmp_path, moved)

    first = min((moved / "train").rglob("*.png"))
    renamed = first.rename(first.with_name("other.png"))
    with pytest.warns(
        UserWarning, match=r"data: the train images are not those .* \(12 then, 12 now\): epochs to come"
    ):
        go_on(tmp_path, moved)
    renamed.rename(first)
    min((moved / "val").rglob("*.png")).unlink()
    with pytest.warns(UserWarning, match=r"data: the validation images are not those .* \(6 then, 5 now\): the best"):
        go_on(tmp_path, moved)
