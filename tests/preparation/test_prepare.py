"""``prepare``: what is listed is dropped or relabelled, all else copied to the byte, and a mistake leaves nothing."""

import csv
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.__main__ import main
from lightning_recipes.data.sources.open import open_splits, read_parts
from lightning_recipes.errors import UserError
from lightning_recipes.preparation.prepare import prepare

HEADER = "split,path,given,suggested,margin,confident\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three cats and three dogs in each split; a file's name comes twice."""
    for number, split in enumerate(("train", "val")):
        for label, name in enumerate(("cat", "dog")):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(3):
                pixels = np.full((4, 4, 3), 40 * i + 100 * number + 10 * label, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "data"


def issues(folder: Path, *rows: str) -> str:
    path = folder / "label_issues.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return str(path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_without_a_list_every_image_is_copied_to_the_byte(data: Path, tmp_path: Path) -> None:
    assert prepare(str(data), str(tmp_path / "out")) == (12, 0, 0, 0, 0)
    assert files(tmp_path / "out") == files(data)


def test_images_on_the_list_are_dropped_and_the_data_can_be_opened(data: Path, tmp_path: Path) -> None:
    listed = issues(tmp_path, "train,train/cat/1.png,cat,dog,-0.9,true", "val,val/dog/0.png,dog,cat,-0.1,false")
    assert prepare(str(data), str(tmp_path / "out"), listed) == (11, 0, 1, 0, 0)
    assert set(files(data)) - set(files(tmp_path / "out")) == {"train/cat/1.png"}
    opened = open_splits(tmp_path / "out").splits
    assert (len(opened.train), len(opened.val)) == (5, 6)
    assert prepare(str(data), str(tmp_path / "all"), listed, only_confident=False) == (10, 0, 2, 0, 0)


def test_images_on_the_list_are_relabelled_and_none_takes_the_place_of_another(data: Path, tmp_path: Path) -> None:
    listed = issues(tmp_path, "train,train/cat/1.png,cat,dog,-0.9,true")
    assert prepare(str(data), str(tmp_path / "out"), listed, issues="relabel") == (11, 1, 0, 0, 0)
    moved, before = files(tmp_path / "out"), files(data)
    assert sorted(moved.values()) == sorted(before.values())
    (where,) = [name for name, content in moved.items() if content == before["train/cat/1.png"]]
    assert Path(where).parent == Path("train/dog")
    with (tmp_path / "out" / "prepared.csv").open(newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert rows["train/cat/1.png"] == {
        "path": where, "source": "train/cat/1.png", "was": "cat", "label": "dog", "done": "relabelled",
        "split": "train", "group": "", "reason": "was labelled 'cat'",
    }  # fmt: skip
    assert sum(row["done"] == "kept" for row in rows.values()) == 11


@pytest.mark.parametrize("label", ["../../evil", "/abs", "a/b", ".hidden", ".."])
def test_a_class_that_is_no_name_of_a_folder_is_refused(data: Path, tmp_path: Path, label: str) -> None:
    rows = [f"{split}/cat/{i}.png,{name},{split}" for split in ("train", "val") for i, name in enumerate(("x", label))]
    (data / "labels.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    with pytest.raises(UserError, match=r"data_dir: class '.*' cannot be the name of a folder"):
        prepare(str(data / "labels.csv"), str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_class_called_train_can_be_opened_again(data: Path, tmp_path: Path) -> None:
    rows = [f"train/{name}/{i}.png,{label}" for name, label in (("cat", "cat"), ("dog", "train")) for i in range(3)]
    (data / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    assert prepare(str(data / "labels.csv"), str(tmp_path / "out")) == (6, 0, 0, 0, 0)
    opened = open_splits(tmp_path / "out", val_fraction=0.4).splits
    assert opened.train.classes == ("cat", "train")


def test_a_zip_is_read_and_a_row_that_is_cut_short_is_enough_to_drop_an_image(data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in (data / "train").rglob("*.png"):
            archive.write(path, path.relative_to(data / "train"))
    listed = issues(tmp_path, "train,cat/1.png,cat")  # cut short: to drop it, no class is needed
    assert prepare(str(tmp_path / "data.zip"), str(tmp_path / "out"), listed) == (5, 0, 1, 0, 0)
    opened = open_splits(tmp_path / "out", val_fraction=0.4).splits
    assert len(opened.train) + len(opened.val) == 5


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        (["train,train/cat/9.png,cat,dog,-0.9,true"], {}, "image 'train/cat/9.png' is not in the data"),
        (
            ["train,train/cat/1.png,cat,dug,-0.9,true"],
            {"issues": "relabel"},
            "'dug' is no class of the data; did you mean dog?",
        ),
        ([f"train,train/cat/{i}.png,cat,dog,-1,true" for i in range(3)], {}, "class 'cat' would have no images left"),
        ([], {"label_issues": "nowhere.csv"}, "label_issues: 'nowhere.csv' cannot be read"),
        ([], {"out_dir": "/proc/nope/out"}, "out_dir: '/proc/nope/out' cannot be made"),
        ([], {"out_dir": "{data}/out"}, "is inside of"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    data: Path, tmp_path: Path, rows: list[str], options: dict[str, Any], text: str
) -> None:
    given = {"out_dir": str(tmp_path / "out"), "label_issues": issues(tmp_path, *rows), **options}
    given = {key: value.format(data=data) for key, value in given.items()}
    with pytest.raises(UserError, match=text.replace("?", r"\?")):
        prepare(str(data), **given)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "label_issues.csv"]


def test_the_command_says_what_it_did_and_never_writes_over_a_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = issues(tmp_path, "train,train/cat/1.png,cat,dog,-0.9,true")
    words = ["prepare", str(data), str(tmp_path / "out"), "--label_issues", listed]
    assert main(words) == 0
    assert "\n11 images kept as they are, 0 relabelled, 1 dropped, 0 unreadable\n" in capsys.readouterr().out
    assert main(words) == 2
    assert f"out_dir: '{tmp_path / 'out'}' exists already" in capsys.readouterr().err
    assert main([*words[:2]]) == 2
    assert "out_dir" in capsys.readouterr().err


def test_odd_names_of_classes_and_files_can_be_read_back_from_both(tmp_path: Path) -> None:
    """Commas, quotes, a line break, spaces around, bytes that are no text, a hidden file, and one without a suffix."""
    for number, label in enumerate(("a,b", 'c"d', "e\nf", " g ", os.fsdecode(b"caf\xe9"))):
        folder = tmp_path / "odd" / label
        folder.mkdir(parents=True)
        for name in ("0.png", "1,'.png", "2.png"):
            Image.new("RGB", (4, 4), (40 * number, len(name), 0)).save(folder / name)
    assert prepare(str(tmp_path / "odd"), str(tmp_path / "out")) == (15, 0, 0, 0, 0)
    for root in (tmp_path / "out", tmp_path / "out" / "manifest.csv"):
        opened = open_splits(root, val_fraction=0.34).splits
        assert opened.train.classes == ("a,b", 'c"d', "caf?", "e\nf", "g")
        assert (len(opened.train), len(opened.val)) == (10, 5)
        assert opened.train.read(0).shape == (4, 4, 3)
    names = tmp_path / "names.csv"
    for number, name in enumerate((".hidden.png", "none", "0.png", "1.png")):
        Image.new("RGB", (4, 4), (60 * number, 0, 0)).save(tmp_path / name, "PNG")
    names.write_text("path,label\n.hidden.png,a\nnone,a\n0.png,b\n1.png,b\n")
    prepare(str(names), str(tmp_path / "named"))
    assert set(files(tmp_path / "named")) == {"a/hidden.png", "a/none.png", "b/0.png", "b/1.png"}
    assert len(open_splits(tmp_path / "named", val_fraction=0.5).splits.train) == 2


def test_shards_hold_what_the_folder_would(data: Path, tmp_path: Path) -> None:
    group = ["--group", "([0-9])"]
    words = ["prepare", str(data), str(tmp_path / "shards"), "--shards", "true", "--shard_bytes", "4000", *group]
    assert main(words) == 0
    prepare(str(data), str(tmp_path / "out"), group="([0-9])")
    assert len(list((tmp_path / "shards").glob("train-*.tar"))) > 1
    for table in ("prepared.csv", "manifest.csv"):
        assert (tmp_path / "shards" / table).read_bytes() == (tmp_path / "out" / table).read_bytes()
    folder = open_splits(tmp_path / "out").splits
    for root in (tmp_path / "shards", tmp_path / "shards" / "manifest.csv"):
        stored = open_splits(root).splits
        for ours, theirs in ((stored.train, folder.train), (stored.val, folder.val)):
            assert list(ours.paths) == list(theirs.paths)
            assert list(ours.labels) == list(theirs.labels)
            assert all(np.array_equal(ours.read(i), theirs.read(i)) for i in range(len(theirs)))
    grouped = read_parts(str(tmp_path / "shards" / "manifest.csv"), group="group")["train"]
    assert grouped.groups is not None
    assert set(grouped.groups) == {"0", "1", "2"}
    (tmp_path / "shards" / "manifest.csv").write_text("path,label\ntrain/cat/0.png,cat\ntrain/dog/9.png,dog\n")
    with pytest.raises(UserError, match=r"line 3: file 'train/dog/9\.png' is not in the shards"):
        open_splits(tmp_path / "shards" / "manifest.csv")


def test_shards_below_a_url_are_made_a_folder_again(data: Path, tmp_path: Path) -> None:
    prepare(str(data), str(tmp_path / "shards"), shards=True)
    assert prepare((tmp_path / "shards").as_uri(), str(tmp_path / "out")) == (12, 0, 0, 0, 0)
    assert files(tmp_path / "out") == files(data)
