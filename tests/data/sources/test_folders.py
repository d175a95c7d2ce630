"""Where class folders lie, and what lies beside them."""

from pathlib import Path

import pytest
from PIL import Image

from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError


def pictures(folder: Path, count: int = 5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")


@pytest.mark.parametrize("around", ["", "data", "images/data", "a/b/c"])
@pytest.mark.parametrize("splits", [False, True])
def test_folders_around_the_classes_are_gone_through(tmp_path: Path, around: str, splits: bool) -> None:
    for split in ("train", "val") if splits else ("",):
        for name in ("cat", "dog"):
            pictures(tmp_path / around / split / name)
    opened = open_splits(str(tmp_path)).splits
    assert opened.train.classes == ("cat", "dog")
    assert len(opened.train) + len(opened.val) == (20 if splits else 10)


@pytest.mark.parametrize(("count", "text"), [(1, "has 1 image that lies in"), (12, "has 12 images that lie in")])
def test_a_flat_folder_says_what_can_be_done(tmp_path: Path, count: int, text: str) -> None:
    pictures(tmp_path, count)
    with pytest.raises(UserError, match=r"^data\.root: ") as error:
        open_splits(str(tmp_path))
    assert f"{text} no class folder; put the images of each class into a folder" in str(error.value)
    assert ".csv with the columns path and label" in str(error.value)


def test_a_picture_beside_the_class_folders_is_said_to_be_left_out(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name)
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    with pytest.warns(UserWarning, match="1 image lies in no class folder, such as 'loose.png', and not in use"):
        assert len(open_splits(str(tmp_path)).splits.train) == 8


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        pictures(tmp_path / name)
    (tmp_path / "cat" / "self").symlink_to("self")
    assert len(open_splits(str(tmp_path)).splits.train) == 8
    (tmp_path / "cat" / "self.png").symlink_to("self.png")
    with pytest.raises(UserError, match=r"1 file is no whole picture .*cat/self\.png \(Too many levels"):
        open_splits(str(tmp_path))
