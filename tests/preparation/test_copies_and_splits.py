"""What an inspection found is acted upon: copies, conflicts, groups and splits, on pictures and as a pure function."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.__main__ import main
from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.errors import UserError
from lightning_recipes.inspection.inspect import inspect
from lightning_recipes.preparation.copies import best_of, groups_of_copies
from lightning_recipes.preparation.images import Image as Listed
from lightning_recipes.preparation.inspection_file import Tie
from lightning_recipes.preparation.plan import Known, decide
from lightning_recipes.preparation.prepare import prepare
from tests.inspection.scenes import cropped, folders, mirrored, recompressed, scene

TABLES = ("prepared.csv", "manifest.csv")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of each, and copies: 0 in train, 1 in val, 2 in val as a bee, 3 cropped and larger."""
    root = folders(tmp_path_factory.mktemp("copies") / "photos", 10)
    shutil.copy(root / "train/ant/0.png", root / "train/ant/copy.png")
    recompressed(scene(1)).save(root / "val/ant/same.jpg")
    mirrored(scene(2)).save(root / "val/bee/mirrored.png")
    recompressed(cropped(scene(3), 0.12, 0), 85).resize((192, 144)).save(root / "train/ant/part.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightning_recipes.inspection.inspect.draw_sheets", lambda *_: None)
        patch.setattr("lightning_recipes.inspection.inspect.find_shortcuts", lambda *_: [])
        inspect(str(root), str(root.parent / "inspected"), workers=1)
    return root


@pytest.fixture(scope="module")
def inspected(photos: Path) -> str:
    return str(photos.parent / "inspected")


def table(folder: Path, name: str = "prepared.csv") -> dict[str, dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return {row["source" if name == "prepared.csv" else "path"]: row for row in csv.DictReader(file)}


def changed(folder: Path) -> dict[str, str]:
    return {path: row["reason"] for path, row in table(folder).items() if row["done"] != "kept"}


def edited(inspected: str, path: Path, **keys: Any) -> str:
    report = json.loads(Path(inspected, "inspect.json").read_text())
    path.write_text(json.dumps({**report, **keys}))
    return str(path)


def test_one_of_each_picture_is_kept_and_what_is_judged_stays(photos: Path, inspected: str, tmp_path: Path) -> None:
    assert prepare(str(photos), str(tmp_path / "out"), inspection=inspected) == (39, 0, 5, 0, 0)
    assert changed(tmp_path / "out") == {
        "train/ant/1.png": "copy of val/ant/same.jpg (recompressed or resized)",
        "train/ant/2.png": "labelled 'bee' as val/bee/mirrored.png (mirrored)",
        "train/ant/3.png": "copy of train/ant/part.jpg (cropped)",
        "train/ant/copy.png": "copy of train/ant/0.png (exact)",
        "val/bee/mirrored.png": "labelled 'ant' as train/ant/2.png (mirrored)",
    }
    opened = open_splits(tmp_path / "out").splits
    assert (len(opened.train), len(opened.val)) == (18, 21)
    by_table = open_splits(tmp_path / "out/manifest.csv").splits
    assert list(by_table.train.paths) == list(opened.train.paths)
    assert list(by_table.val.labels) == list(opened.val.labels)


def test_split_anew_the_largest_copy_is_kept_whatever_split_it_was_in(
    photos: Path, inspected: str, tmp_path: Path
) -> None:
    prepare(str(photos), str(tmp_path / "out"), inspection=inspected, split="new", test_fraction=0.2)
    gone = changed(tmp_path / "out")
    assert gone["val/ant/same.jpg"] == "copy of train/ant/1.png (recompressed or resized)"
    assert "train/ant/1.png" not in gone
    opened = open_splits(tmp_path / "out").splits
    assert opened.test is not None
    assert (len(opened.train), len(opened.val), len(opened.test)) == (23, 8, 8)
    moved = [row for row in table(tmp_path / "out").values() if row["reason"].startswith("was in")]
    assert moved
    assert all(row["reason"].removeprefix("was in ") == row["source"].partition("/")[0] for row in moved)
    assert all(row["split"] != row["source"].partition("/")[0] for row in moved)


def test_copies_that_are_kept_are_on_one_side(photos: Path, inspected: str, tmp_path: Path) -> None:
    pairs = [
        ("train/ant/0.png", "train/ant/copy.png"), ("train/ant/1.png", "val/ant/same.jpg"),
        ("train/ant/2.png", "val/bee/mirrored.png"), ("train/ant/3.png", "train/ant/part.jpg"),
        ("train/bee/4.png", "val/bee/5.png"),
    ]  # fmt: skip
    alike = [{"paths": list(pairs[-1]), "splits": ["train", "val"], "classes": ["bee", "bee"], "cosine": 0.99}]
    found = edited(inspected, tmp_path / "inspect.json", look_alikes=alike)
    for seed in range(5):
        out = tmp_path / str(seed)
        options: dict[str, Any] = {"duplicates": "keep", "conflicts": "keep", "split": "new", "split_seed": seed}
        assert prepare(str(photos), str(out), inspection=found, **options).dropped == 0
        rows = table(out)
        for one, other in pairs:
            assert rows[one]["split"] == rows[other]["split"]
            assert rows[one]["group"] == rows[other]["group"] == min(one, other)
        assert rows["train/ant/7.png"]["group"] == "train/ant/7.png"
    assert len({table(tmp_path / str(seed))["train/ant/0.png"]["split"] for seed in range(5)}) == 2


def test_a_group_stays_whole_and_what_shares_a_picture_with_it_comes_along(
    photos: Path, inspected: str, tmp_path: Path
) -> None:
    """Groups are numbers: 0 and ``copy`` share a picture, and so do 1 and ``same``."""
    out, pattern = tmp_path / "out", r"([^/]+)\.[a-z]+$"
    options: dict[str, Any] = {"duplicates": "keep", "conflicts": "keep", "split": "new", "group": pattern}
    prepare(str(photos), str(out), inspection=inspected, **options)
    splits: dict[str, set[str]] = {}
    for row in table(out, "manifest.csv").values():
        splits.setdefault(row["group"], set()).add(row["split"])
    assert set(splits) == {"0", "1", "2", "3", *"456789"}
    assert all(len(found) == 1 for found in splits.values())
    assert table(out)["train/ant/copy.png"]["group"] == "0"
    opened = open_splits(out / "manifest.csv", group="group").splits
    assert len(opened.train) + len(opened.val) == 44


def test_the_table_of_data_without_splits_is_split_by_its_groups(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(str(photos / "train"), str(out), group=r"([^/]+)\.[a-z]+$")
    assert list(next(iter(table(out, "manifest.csv").values()))) == ["path", "label", "group"]
    opened = open_splits(out / "manifest.csv", group="group", val_fraction=0.3).splits
    numbers = [{Path(path).stem for path in part.paths} for part in (opened.train, opened.val)]
    assert not numbers[0] & numbers[1]


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_the_same_data_give_the_same_bytes(photos: Path, tmp_path: Path, kind: str) -> None:
    """In whatever order a table names them."""
    made = []
    for number, step in enumerate((1, -1)):
        data = photos / "train"
        if kind == "csv":
            rows = [f"{path},{path.parent.name},{path.stem}" for path in sorted(data.rglob("*.png"))]
            data = tmp_path / "labels.csv"
            data.write_text("\n".join(["path,label,film", *rows[::step]]) + "\n")
        out = tmp_path / str(number)
        options: dict[str, Any] = {"group": "film" if kind == "csv" else r"([^/]+)\.[a-z]+$", "val_fraction": 0.3}
        prepare(str(data), str(out), **options)
        made.append([(out / name).read_bytes() for name in TABLES])
    assert made[0] == made[1]
    assert str(tmp_path).encode() not in made[0][1]


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    photos: Path, inspected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ["prepare", str(photos), "made/out", "--inspection", inspected]
    assert main([*words, "--dry_run", "true"]) == 0
    shown = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert "Nothing was written" in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert {"kept as it is 18 21", "dropped: label conflict 1 1", "dropped: copy 3 -", "in all 22 22"} <= set(rows)
    assert {"ant 23 → 19 12 → 8 11", "bee 21 → 20 10 11 → 10", "all classes 44 → 39 22 → 18 22 → 21"} <= set(rows)
    assert "  train/ant/copy.png: copy of train/ant/0.png (exact)" in shown.splitlines()
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert main(words) == 0
    done = capsys.readouterr().out
    assert done.partition("39 images kept")[0] == shown.partition("39 images kept")[0]
    assert Path("made/out/prepared.csv").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": "/elsewhere"}, "is of '/elsewhere', and the data are"),
        ({"images": 40}, "is of 40 images, the data have 44; inspect them again"),
        ({"corrupt": [{"path": "train/ant/99.png"}]}, "names 'train/ant/99.png', which is not in the data"),
    ],
)
def test_an_inspection_of_other_data_is_refused(
    photos: Path, inspected: str, tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    found = edited(inspected, tmp_path / "inspect.json", **change)
    with pytest.raises(UserError, match=f"^inspection: .*{text}"):
        prepare(str(photos), str(tmp_path / "out"), inspection=found)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": 3}', "null", "7"])
def test_a_file_that_is_no_inspection_is_refused(photos: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "inspect.json").write_text(content)
    with pytest.raises(UserError, match=r"^inspection: .* inspect the data again"):
        prepare(str(photos), str(tmp_path / "out"), inspection=str(tmp_path))


@pytest.mark.parametrize(
    "change",
    [{"near_duplicates": 7}, {"near_duplicates": [{"paths": ["train/ant/0.png"], "kind": "same"}]},
     {"near_duplicates": [{"paths": ["train/ant/0.png"] * 2}]}, {"look_alikes": [{}]}, {"corrupt": [{"path": 3}]}],
)  # fmt: skip
def test_an_inspection_that_was_edited_badly_is_refused(
    photos: Path, inspected: str, tmp_path: Path, change: dict[str, Any]
) -> None:
    edited(inspected, tmp_path / "inspect.json", **change)
    with pytest.raises(UserError, match=r"^inspection: .* inspect the data again"):
        prepare(str(photos), str(tmp_path / "out"), inspection=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"val_fraction": 0.2}, "val_fraction: the data bring val images; give split new"),
        ({"split": "new", "val_fraction": 0.7, "test_fraction": 0.4}, "leave nothing for training"),
        ({"split": "new", "val_fraction": 1.5}, "val_fraction: 1.5 is not a share between 0 and 1"),
        ({"split": "new", "test_fraction": -0.1}, "test_fraction: -0.1 is not a share"),
        ({"split": "new", "split_seed": -1}, "split_seed: -1 is not a whole number"),
        ({"duplicates": "keep"}, "duplicates: of use with an inspection alone"),
        ({"group": "film_([0-9]+)"}, "group: 'film_.*' finds nothing in 22 of 22 names"),
        ({"group": "("}, "group: .* is no regular expression"),
        ({"split": "new", "group": "(ant|bee)"}, "group: class '(ant|bee)' is all one group"),
        ({"inspection": "nowhere"}, "inspection: 'nowhere' cannot be read"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    photos: Path, tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(UserError, match=text):
        prepare(str(photos), str(tmp_path / "out"), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_conflicts_would_leave_empty_is_named(tmp_path: Path) -> None:
    photos = folders(tmp_path / "photos", 3, splits=("train",))
    for number in range(3):
        shutil.copy(photos / f"train/ant/{number}.png", photos / f"train/bee/{number}.png")
    report = {
        "data": str(photos.resolve()), "images": 6, "corrupt": [], "near_duplicates": [], "look_alikes": [],
        "exact_duplicates": [{"paths": [f"train/{name}/{i}.png" for name in ("ant", "bee")]} for i in range(3)],
    }  # fmt: skip
    (tmp_path / "inspect.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"^conflicts: class 'ant' would have no images left; mend its labels"):
        prepare(str(photos), str(tmp_path / "out"), inspection=str(tmp_path))


def listed(*paths: str) -> list[Listed]:
    return [Listed(path, *path.split("/")[:2]) for path in paths]


def test_which_copy_is_kept_depends_on_the_group_alone() -> None:
    images = listed("train/a/2", "val/a/1", "test/a/9", "train/a/1")
    sizes = [400, 400, 100, 400]
    chosen: Callable[..., int] = lambda group, first: best_of(group, images, sizes.__getitem__, judged_first=first)  # noqa: E731
    assert chosen([0, 1, 2, 3], True) == 2
    assert chosen([3, 1, 0], True) == 1
    assert chosen([0, 1, 2, 3], False) == chosen([3, 2, 1, 0], False) == 3
    assert groups_of_copies([Tie((0, 1), "exact"), Tie((1, 3), "mirrored")], 4) == [[0, 1, 3]]


def test_an_image_that_goes_for_another_reason_is_no_copy_that_is_kept() -> None:
    images = listed("train/a/0", "train/a/1", "train/a/2", "train/b/3")
    ties = [Tie((0, 1), "exact"), Tie((1, 2), "same"), Tie((2, 3), "mirrored")]
    known = Known(images, faults={0: "cut short"}, suggested={"train/b/3": "a"}, copies=ties)
    made = decide(known, duplicates="drop", conflicts="drop", judged_first=True)
    assert [(one.done, one.cause) for one in made] == [
        ("dropped", "unreadable"), ("kept", ""), ("dropped", "duplicate"), ("dropped", "label"),
    ]  # fmt: skip
    relabelled = Known(images, suggested={"train/b/3": "a"}, issues="relabel", copies=ties)
    made = decide(relabelled, duplicates="drop", conflicts="drop", judged_first=True)
    assert [one.cause for one in made] == ["", "duplicate", "duplicate", "duplicate"]
    assert made[3].reason == "copy of train/a/0 (by way of others that are like both)"


def test_of_labels_that_conflict_and_are_kept_one_copy_each_stays() -> None:
    images = listed("train/a/0", "train/a/1", "train/b/2")
    ties = [Tie((0, 1), "exact"), Tie((0, 2), "exact")]
    made = decide(Known(images, copies=ties), duplicates="drop", conflicts="keep", judged_first=True)
    assert [one.cause for one in made] == ["", "duplicate", ""]
