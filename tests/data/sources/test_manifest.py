"""CSV files as people and spreadsheets write them."""

from pathlib import Path

import pytest
from PIL import Image

from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError


def written(root: Path, *more: str, header: str = "path,label", encoding: str = "utf-8", end: str = "\n") -> str:
    rows = [header]
    for name in ("ants", "bees"):
        (root / name).mkdir(exist_ok=True)
        for number in range(5):
            Image.new("RGB", (8, 8)).save(root / name / f"{number}.png")
            rows.append(f"{name}/{number}.png,{name}")
    (root / "data.csv").write_bytes(end.join([*rows, *more, ""]).encode(encoding))
    return str(root / "data.csv")


def test_a_cell_of_several_classes_is_refused_by_line_and_cell(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=r"data\.csv', line 12: label 'cat\|furry' names several classes"):
        open_splits(written(tmp_path, "c.png,cat|furry"))


@pytest.mark.parametrize("way", ["absolute", "dots", "link", "linked folder"])
def test_a_file_named_twice_by_two_paths_is_refused(tmp_path: Path, way: str) -> None:
    again = {
        "absolute": str(tmp_path / "ants" / "0.png"),
        "dots": "bees/../ants/0.png",
        "link": "bees/link.png",
        "linked folder": "wasps/0.png",
    }[way]
    manifest = written(tmp_path, f"{again},bees")
    (tmp_path / "bees" / "link.png").symlink_to(tmp_path / "ants" / "0.png")
    (tmp_path / "wasps").symlink_to(tmp_path / "ants")
    with pytest.raises(UserError, match=r"line 12: file '.*' is named in line 2 too; remove one of them"):
        open_splits(manifest)


def test_a_file_named_twice_is_refused_where_the_manifest_itself_is_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, f"{tmp_path / 'ants' / '0.png'},bees")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"line 12: file '.*' is named in line 2 too"):
        open_splits("data.csv")


def test_two_files_of_one_content_are_two(tmp_path: Path) -> None:
    assert len(open_splits(written(tmp_path)).splits.train) == 8


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    """A byte order mark, Windows' line ends, and the empty rows and cells below and beside a table."""
    manifest = written(tmp_path, ",,", "", " , ", header="path,label,", encoding="utf-8-sig", end="\r\n")
    assert len(open_splits(manifest).splits.train) == 8


@pytest.mark.parametrize(
    ("more", "header", "text"),
    [
        ("", "path;label", "its cells are set apart by ';'"),
        ("", "Path,label", "has no column 'path'; it has 'Path'"),
        ("", "path,label,label", "has two columns 'label'; keep one of them"),
        ("ants/0.png,ants,and more", "path,label", "line 12: 3 cells in 2 columns; put a path or label"),
        ("ants,ants", "path,label", "line 12: file 'ants' is a folder"),
        ("caf\u00e9.png,ants", "path,label", "one that looks the same, 'cafe\\u0301.png'"),
        ('"ants/0.png,ants', "path,label", "cannot be read (unexpected end of data)"),
    ],
)
def test_mistakes_are_told_by_what_is_wrong(tmp_path: Path, more: str, header: str, text: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cafe\u0301.png")
    with pytest.raises(UserError, match=r"^data\.root: ") as error:
        open_splits(written(tmp_path, more, header=header))
    assert text in str(error.value)
    assert "\n" not in str(error.value)
