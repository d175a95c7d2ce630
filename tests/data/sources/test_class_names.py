"""Names of classes that a person could not tell apart, in folders and in CSV files."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError

SAME = [
    ("x", "x ", "spaces or characters that are not seen"),
    ("red fox", "red  fox", "spaces or characters that are not seen"),
    ("bee", "be\u200be", "spaces or characters that are not seen"),
    (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café"), "the Unicode normal form of a letter"),
]


def folders(root: Path, *classes: str) -> str:
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (8, 8)).save(root / name / f"{number}.png")
    return str(root)


def manifest(root: Path, *classes: str) -> str:
    rows = ["path,label"]
    for name in classes:
        for _ in range(5):
            Image.new("RGB", (8, 8)).save(root / f"{len(rows)}.png")
            rows.append(f'{len(rows)}.png,"{name}"')
    (root / "data.csv").write_text("\n".join(rows), encoding="utf-8")
    return str(root / "data.csv")


@pytest.mark.parametrize(("first", "second", "text"), SAME)
def test_class_folders_that_look_the_same_are_refused(tmp_path: Path, first: str, second: str, text: str) -> None:
    with pytest.raises(UserError, match=rf"^data\.root: .* look the same and differ by {text} alone") as error:
        open_splits(folders(tmp_path, first, second, "other"))
    assert ascii(second) in str(error.value)  # as escapes, for one does not see them


@pytest.mark.parametrize(("first", "second", "text"), SAME[1:])
def test_labels_that_look_the_same_are_refused(tmp_path: Path, first: str, second: str, text: str) -> None:
    with pytest.raises(UserError, match=rf"^data\.root: .*data\.csv'.* differ by {text} alone"):
        open_splits(manifest(tmp_path, first, second, "other"))


def test_spaces_around_a_label_are_no_part_of_it(tmp_path: Path) -> None:
    assert open_splits(manifest(tmp_path, "x", "x ", " x", "y")).splits.train.classes == ("x", "y")


@pytest.mark.parametrize("kind", [folders, manifest])
def test_names_that_differ_by_case_alone_are_classes_and_are_named(tmp_path: Path, kind: object) -> None:
    with pytest.warns(UserWarning, match="classes 'Cat' and 'cat' differ by upper and lower case alone"):
        opened = open_splits(kind(tmp_path, "Cat", "cat", "dog"))  # type: ignore[operator]
    assert opened.splits.train.classes == ("Cat", "cat", "dog")


def test_letters_of_any_script_are_classes(tmp_path: Path) -> None:
    assert len(open_splits(folders(tmp_path, "猫", "犬", "مرحبا", "🐕‍🦺")).splits.train.classes) == 4
