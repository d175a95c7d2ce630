"""Data as people have it: folders, zips, CSV files, names; and every way in which it can be wrong.

Longer than other files: what writes pictures, folders and tables is shared by all of it.
"""

import csv
import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

from lightning_recipes.data.loading.dataset import ImageDataset
from lightning_recipes.data.sources import checks
from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.data.sources.unlabelled import open_unlabelled
from lightning_recipes.data.transforms.image_transforms import eval_transform
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import IMAGENET_INPUT
from tests.pictures import class_folders, picture


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return target


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_by_any_usual_name(tmp_path: Path, val: str) -> None:
    class_folders(tmp_path / "train", 4)
    class_folders(tmp_path / val, 2)
    splits = open_splits(str(tmp_path)).splits
    assert splits.train.classes == ("ants", "bees")
    assert (len(splits.train), len(splits.val)) == (8, 4)
    assert splits.train.read(0).shape == (10, 12, 3)


def test_a_test_folder_alone_is_validated_on_and_kept_as_test(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 4)
    class_folders(tmp_path / "test", 2)
    splits = open_splits(str(tmp_path)).splits
    assert splits.test is not None
    assert list(splits.val.paths) == list(splits.test.paths)


def test_a_zip_is_read_in_place_and_equals_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "insects"
    class_folders(folder / "train", 3)
    class_folders(folder / "val", 2)
    (folder / ".DS_Store").write_bytes(b"x")
    from_zip = open_splits(str(zipped(folder, tmp_path / "insects.zip"))).splits.train
    from_folder = open_splits(str(tmp_path)).splits.train  # one folder around it all, as in the zip
    assert list(from_zip.paths) == list(from_folder.paths)
    assert from_zip.labels.tolist() == from_folder.labels.tolist()  # type: ignore[union-attr]
    assert np.array_equal(from_zip.read(4), from_folder.read(4))
    assert np.array_equal(pickle.loads(pickle.dumps(from_zip)).read(4), from_zip.read(4))


def test_class_folders_alone_are_split_by_class_and_seed_alone(tmp_path: Path) -> None:
    class_folders(tmp_path, 20)
    first, again, other = (open_splits(str(tmp_path), val_fraction=0.25, split_seed=s).splits for s in (0, 0, 1))
    assert Counter(np.asarray(first.val.labels).tolist()) == {0: 5, 1: 5}
    assert not set(first.val.paths) & set(first.train.paths)
    assert list(first.val.paths) == list(again.val.paths) != list(other.val.paths)


def test_pictures_in_folders_of_a_class_folder_belong_to_the_class(tmp_path: Path) -> None:
    class_folders(tmp_path, 5)
    picture(tmp_path / "ants" / "red" / "deep.png")
    splits = open_splits(str(tmp_path), val_fraction=0.4).splits
    assert len(splits.train) + len(splits.val) == 11


def test_what_operating_systems_leave_behind_is_no_picture_and_no_class(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "insects", 5)
    for name in ("ants/._1.png", "__MACOSX/ants/1.png", ".cache/1.png", "ants/.DS_Store", "ants/Thumbs.db"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"junk")
    for root in (folder, zipped(folder, tmp_path / "insects.zip")):
        splits = open_splits(root).splits
        assert splits.train.classes == ("ants", "bees")
        assert len(splits.train) + len(splits.val) == 10


def test_the_split_depends_on_the_names_and_not_on_the_order_of_the_rows(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", 10)
    rows = [[f"images/{name}/{number}.png", name] for name in ("ants", "bees") for number in range(10)]
    found = []
    for order in (rows, rows[::-1]):
        with (tmp_path / "data.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path", "label"], *order])
        found.append(set(open_splits(tmp_path / "data.csv").splits.val.paths))
    assert found[0] == found[1]


def test_a_link_to_the_folder_it_lies_in_is_not_followed_for_ever(tmp_path: Path) -> None:
    class_folders(tmp_path / "data", 5)
    class_folders(tmp_path / "elsewhere", 5, ("wasps",))
    (tmp_path / "data" / "ants" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "wasps").symlink_to(tmp_path / "elsewhere" / "wasps")
    splits = open_splits(tmp_path / "data").splits
    assert splits.train.classes == ("ants", "bees", "wasps")
    assert len(splits.train) + len(splits.val) == 15


def test_loose_test_pictures_have_no_labels_and_so_are_no_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 5)
    picture(tmp_path / "test" / "1.png")
    splits = open_splits(str(tmp_path)).splits
    assert splits.test is None
    assert (len(splits.train), len(splits.val)) == (8, 2)


def test_a_picture_beside_the_splits_hides_them_not(tmp_path: Path) -> None:
    class_folders(tmp_path / "insects" / "train", 5)
    class_folders(tmp_path / "insects" / "val", 3)
    picture(tmp_path / "insects" / "cover.png")
    with pytest.warns(UserWarning, match=r"1 image lies in no class folder, such as 'insects/cover\.png'"):
        splits = open_splits(str(tmp_path)).splits
    assert (len(splits.train), len(splits.val)) == (10, 6)


def test_the_order_in_which_files_were_made_does_not_show(tmp_path: Path) -> None:
    for folder, numbers in (("first", range(12)), ("second", reversed(range(12)))):
        for number in numbers:
            for name in ("ants", "bees") if folder == "first" else ("bees", "ants"):
                picture(tmp_path / folder / name / f"{number}.png", number)
    first, second = (open_splits(str(tmp_path / folder)).splits for folder in ("first", "second"))
    assert list(first.train.paths) == list(second.train.paths)
    assert list(first.val.paths) == list(second.val.paths)


def test_a_manifest_in_another_encoding_says_so(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes("path,label\na.png,fourmi\nb.png,guêpe\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"data\.csv' cannot be read .*; save it as CSV in UTF-8"):
        open_splits(str(tmp_path / "data.csv"))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("ants_bees.zip", (244, 153, None)),
        pytest.param("cifar10.zip", (50_000, 10_000, 10_000), marks=pytest.mark.slow),
    ],
)
def test_real_sets_are_opened_whole(name: str, sizes: tuple[int, int, int | None]) -> None:
    path = Path(__file__).parents[4] / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not in ../shared/data")
    splits = open_splits(path).splits
    assert (len(splits.train), len(splits.val), None if splits.test is None else len(splits.test)) == sizes
    with zipfile.ZipFile(path) as archive, archive.open(splits.train.paths[100]) as file, Image.open(file) as image:
        assert np.array_equal(splits.train.read(100), np.asarray(image.convert("RGB")))


def test_a_manifest_names_pictures_labels_and_splits(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", 4)
    with (tmp_path / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for path in sorted((tmp_path / "images").rglob("*.png")):
            writer.writerow([path.relative_to(tmp_path), path.parent.name, "val" if path.stem == "0" else "train"])
    splits = open_splits(str(tmp_path / "data.csv")).splits
    assert (len(splits.train), len(splits.val)) == (6, 2)
    assert splits.train.classes == ("ants", "bees")


def test_the_embedded_digits_are_scikit_learns() -> None:
    splits = open_splits("sklearn:digits", val_fraction=0.5).splits
    truth = load_digits()
    for index in (0, 100, 800):
        number = int(str(splits.train.paths[index]).split("/")[1].removesuffix(".png"))
        assert splits.train.labels[index] == truth.target[number]
        assert np.abs(splits.train.read(index)[..., 0] / 255 * 16 - truth.images[number]).max() < 0.05


def test_few_images_a_class_leave_the_validation_images_as_they_are() -> None:
    few, all_of_them = (open_splits("sklearn:digits", images_per_class=n).splits for n in (5, None))
    assert Counter(np.asarray(few.train.labels).tolist()) == dict.fromkeys(range(10), 5)
    assert list(few.val.paths) == list(all_of_them.val.paths)


@pytest.mark.slow
def test_letters_hold_no_digit_and_are_the_same_every_time() -> None:
    letters = open_splits("fonts:letters", val_fraction=0.1).splits
    assert len(letters.train.classes) == 40
    assert not set(letters.train.classes) & set("0123456789OIl")
    assert letters.train.read(0).shape == (8, 8, 3)
    assert letters.train.read(0).max() > 100


def test_a_dot_lies_in_the_quarter_that_its_label_says() -> None:
    dots = open_splits("made:dots", val_fraction=0.5).splits.train
    for index in range(0, len(dots), 25):
        rows, columns = np.nonzero(dots.read(index)[..., 0] == 255)
        assert len(rows) == 9
        lower, right = divmod(int(dots.labels[index]), 2)
        assert set(rows // 32) == {lower}
        assert set(columns // 32) == {right}
        assert dots.classes[dots.labels[index]] == f"{('top', 'bottom')[lower]} {('left', 'right')[right]}"


def test_pictures_to_predict_need_no_labels(tmp_path: Path) -> None:
    class_folders(tmp_path, 3)
    picture(tmp_path / "loose.png")
    source, skipped = open_unlabelled(str(tmp_path))
    assert (len(source), skipped) == (7, ())
    assert set(np.asarray(source.labels).tolist()) == {-1}


def damage(root: Path) -> None:
    (root / "ants" / "zero.jpg").write_bytes(b"")
    (root / "ants" / "text.png").write_text("hello")
    whole = root / "bees" / "0.png"
    (root / "bees" / "cut.png").write_bytes(whole.read_bytes()[:40])


@pytest.mark.parametrize("many", [2, 1000])  # from how many files on processes look, with chunks of three
def test_bad_files_are_listed_by_path_or_skipped_and_counted(
    tmp_path: Path, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MANY", many)
    monkeypatch.setattr(checks, "CHUNK", 3)
    state = torch.get_rng_state()
    class_folders(tmp_path, 10)
    damage(tmp_path)
    with pytest.raises(UserError) as error:
        open_splits(str(tmp_path))
    said = (
        "data.on_bad_image",
        "3 files are no whole picture",
        "ants/zero.jpg (empty)",
        "ants/text.png (not a picture)",
    )
    for text in (*said, "bees/cut.png"):
        assert text in str(error.value)
    opened = open_splits(str(tmp_path), on_bad_image="skip")
    assert opened.skipped == (
        "ants/text.png (not a picture)", "ants/zero.jpg (empty)", "bees/cut.png (not a picture)"
    )  # fmt: skip
    assert len(opened.splits.train) + len(opened.splits.val) == 20
    assert torch.equal(torch.get_rng_state(), state)


def test_a_class_without_a_whole_picture_is_not_skipped_over(tmp_path: Path) -> None:
    class_folders(tmp_path, 5)
    for path in (tmp_path / "ants").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="class 'ants' has no whole image left"):
        open_splits(str(tmp_path), on_bad_image="skip")


def test_a_long_list_of_bad_files_is_cut_and_counted(tmp_path: Path) -> None:
    class_folders(tmp_path, 20)
    for path in list((tmp_path / "ants").iterdir())[:15]:
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"15 files are .* and 5 more; mend or remove them, or give skip"):
        open_splits(str(tmp_path))


def test_bad_files_of_all_splits_are_listed_at_once(tmp_path: Path) -> None:
    for split in ("train", "val"):
        damage(class_folders(tmp_path / split, 5))
    with pytest.raises(UserError, match=r"6 files are .*train/ants/text\.png.*val/ants/text\.png"):
        open_splits(str(tmp_path))
    assert len(open_splits(str(tmp_path), on_bad_image="skip").skipped) == 6


def test_pictures_of_a_kind_that_cannot_be_read_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    class_folders(tmp_path, 5)
    (tmp_path / "ants" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "ants" / "notes.txt").write_text("no picture, and not meant as one")
    with pytest.raises(UserError, match=r"1 file is no whole picture .*ants/phone\.HEIC \(not a picture\)"):
        open_splits(str(tmp_path))


def test_a_damaged_file_in_a_zip_is_a_bad_file_like_any_other(tmp_path: Path) -> None:
    path = zipped(class_folders(tmp_path / "insects", 10), tmp_path / "insects.zip")
    with zipfile.ZipFile(path) as archive:
        hurt = archive.getinfo("insects/ants/3.png")
    data = bytearray(path.read_bytes())
    data[hurt.header_offset + 30 + len(hurt.filename)] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"1 file is .*insects/ants/3\.png \(damaged in the zip\)"):
        open_splits(str(path))
    assert open_splits(str(path), on_bad_image="skip").skipped == ("insects/ants/3.png (damaged in the zip)",)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_breaks_while_training_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    class_folders(tmp_path, 5)
    train = open_splits(str(tmp_path)).splits.train
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"overwritten")
    loader = DataLoader(ImageDataset(train, eval_transform(IMAGENET_INPUT), min_size=8), num_workers=workers)
    with pytest.raises(UserError, match=rf"\A{tmp_path}/ants/\d\.png: cannot be decoded") as e:
        list(loader)
    assert "\n" not in str(e.value)
    assert str(e.value).endswith("(not a picture); replace or remove the file")


def make_empty(root: Path) -> None:
    root.mkdir(exist_ok=True)


def make_one_class(root: Path) -> None:
    class_folders(root, 3, ("ants",))


def make_empty_class(root: Path) -> None:
    class_folders(root, 3)
    (root / "wasps").mkdir()


def make_other_classes(root: Path) -> None:
    class_folders(root / "train", 3)
    class_folders(root / "val", 3, ("ants", "wasps"))


def make_no_train(root: Path) -> None:
    class_folders(root / "val", 3)
    class_folders(root / "test", 3)


def make_two_val(root: Path) -> None:
    for split in ("train", "val", "valid"):
        class_folders(root / split, 3)


def make_loose(root: Path) -> None:
    picture(root / "a.png")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda root: None, "does not exist; give a folder of images"),
        (make_empty, "has no images; put the images of each class into a folder of its name"),
        (make_loose, "has 1 image that lies in no class folder"),
        (make_one_class, "has one class, 'ants'; a classifier needs at least two"),
        (make_empty_class, "class 'wasps' has no images"),
        (make_no_train, "has 'test' and 'val' but no 'train'"),
        (make_two_val, "has two folders for val images, 'val' and 'valid'; keep one of them"),
        (make_other_classes, "differ between train and val: val has no 'bees' and train has no 'wasps'"),
    ],
)
def test_folders_that_cannot_be_used_say_why(tmp_path: Path, make: Any, text: str) -> None:
    make(tmp_path / "data")
    with pytest.raises(UserError, match=r"^data\.root: ") as error:
        open_splits(str(tmp_path / "data"))
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"val_fraction": 0.0}, "data.val_fraction: 0.0 is not a share"),
        ({"val_fraction": 0.01}, "leaves none for validation"),
        ({"images_per_class": 9}, "data.images_per_class: 9 asked for, class 'ants' has 4"),
        ({"images_per_class": 0}, "data.images_per_class: 0"),
    ],
)
def test_splits_that_cannot_be_drawn_say_why(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    class_folders(tmp_path, 5)
    with pytest.raises(UserError, match=text):
        open_splits(str(tmp_path), **options)


ROWS = [[f"images/ants/{number}.png", "ants"] for number in range(2)]
BEES = [["images/bees/0.png", "bees", "val"]]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([["file", "label"]], "has no column 'path'"),
        ([["path", "label"]], "names no images"),
        ([["path", "label"], ["images/ants/0.png", ""]], "line 2: path or label is empty"),
        ([["path", "label"], ["images/none.png", "ants"]], "line 2: file 'images/none.png' does not exist"),
        ([["path", "label"], ["images/ants/0.png", "ants"]], "has one class, 'ants'"),
        ([["path", "label"], *[["images/ants/0.png", name] for name in ("ants", "bees")]], "is named in line 2 too"),
        ([["path", "label", "split"], ["images/ants/0.png", "ants", "holdout"]], "line 2: split 'holdout' is not"),
        ([["path", "label", "split"], *ROWS, ["images/bees/0.png", "bees", "val"]], "class 'bees' has no images in tr"),
        ([["path", "label", "split"], *[[p, n, "val"] for p, n in ROWS], *BEES], "has no images of split train"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_the_line(tmp_path: Path, rows: list[list[str]], text: str) -> None:
    class_folders(tmp_path / "images", 2)
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(UserError, match=text):
        open_splits(str(tmp_path / "data.csv"))


def test_a_corrupt_zip_an_unknown_name_and_another_file_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    (tmp_path / "a.tar").write_bytes(b"x")
    for root, text in (
        (str(tmp_path / "a.zip"), "is not a whole zip"),
        (str(tmp_path / "a.tar"), "is a file but no .zip or .csv"),
        ("sklearn:digit", "there is no 'sklearn:digit'; did you mean sklearn:digits"),
        ("made:dot", "there is no 'made:dot'; did you mean made:dots"),
    ):
        with pytest.raises(UserError, match=text):
            open_splits(root)
