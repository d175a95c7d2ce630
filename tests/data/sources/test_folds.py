"""Cross-validation: every image is held out once."""

from pathlib import Path

import numpy as np
import pytest

from lightning_recipes import ImageDataModule
from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError
from tests.pictures import class_folders


@pytest.mark.parametrize("group", [None, "/[0-9]"])
def test_every_image_is_held_out_in_one_fold_and_classes_keep_their_shares(tmp_path: Path, group: str | None) -> None:
    class_folders(tmp_path, 23)
    held_out: list[str] = []
    for fold in range(4):
        splits = open_splits(tmp_path, folds=4, fold=fold, group=group).splits
        assert not set(splits.train.paths) & set(splits.val.paths)
        assert len(splits.train) + len(splits.val) == 46
        counts = np.bincount(np.asarray(splits.val.labels), minlength=2)
        assert abs(counts[0] - counts[1]) <= (1 if group is None else 3)
        held_out += splits.val.paths
    assert len(held_out) == len(set(held_out)) == 46


def test_a_fold_is_a_function_of_the_seed(tmp_path: Path) -> None:
    class_folders(tmp_path, 23)
    one, again, other = (
        list(open_splits(tmp_path, folds=4, fold=1, split_seed=seed).splits.val.paths) for seed in (0, 0, 1)
    )
    assert one == again != other


def test_of_training_and_test_images_the_test_stays_and_the_folds_are_of_the_rest(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 8)
    class_folders(tmp_path / "test", 3)
    splits = open_splits(tmp_path, folds=4, fold=3).splits
    assert splits.test is not None
    assert (len(splits.train), len(splits.val), len(splits.test)) == (12, 4, 6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folds": 1}, r"data\.folds: 1 is not a whole number >= 2"),
        ({"folds": 3, "fold": 3}, r"data\.fold: 3 is not a whole number from 0 to 2"),
        ({"fold": 1}, r"data\.fold: 1 is not of use alone; give data\.folds too"),
    ],
)
def test_folds_that_there_are_not_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ImageDataModule("sklearn:digits", **options)  # type: ignore[arg-type]


def test_more_folds_than_images_or_a_split_that_is_there_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "all", 4)
    with pytest.raises(UserError, match=r"data\.folds: 5 folds, and class 'ants' has 4 images; give fewer"):
        open_splits(tmp_path / "all", folds=5)
    for split in ("train", "val"):
        class_folders(tmp_path / "split" / split, 4)
    with pytest.raises(UserError, match=r"data\.folds: '.*' brings a validation split; leave it out"):
        open_splits(tmp_path / "split", folds=2)
