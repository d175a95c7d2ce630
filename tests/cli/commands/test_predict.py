"""Predictions for pictures as people have them: one, several, stored, listed, typed, broken."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from torch import Tensor

from lightning_recipes import load
from lightning_recipes.__main__ import main
from lightning_recipes.data.sources.unlabelled import open_unlabelled
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.prediction_files import rows as rows_module
from lightning_recipes.prediction_files.least_sure import least_sure
from lightning_recipes.prediction_files.sorted_copies import copy_sorted
from lightning_recipes.prediction_files.table import write_table
from tests.small import classifier, digits, fit

NAMES = [str(number) for number in range(10)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    trainer, _ = fit(classifier(), digits(), max_epochs=1)
    trainer.save_checkpoint(folder / "best.ckpt")
    return folder / "best.ckpt"


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Seven noisy pictures in ``new/``, where the test is."""
    monkeypatch.chdir(tmp_path)
    names = ["new/a.png", "new/b.png", "new/deep/c.png", "new/d.jpg", "new/e.png", "new/f.png", "new/g.png"]
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).integers(0, 256, (9 + number, 12, 3), dtype=np.uint8)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(name)
    return names


def predict(checkpoint: Path, *words: str, code: int = 0) -> list[dict[str, str]]:
    """Run the command, and return the rows of its table."""
    assert main(["predict", *words, "--ckpt_path", str(checkpoint), "--run_dir", "said"]) == code
    if code or not Path("said/predictions.csv").exists():
        return []
    with open("said/predictions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_however_pictures_are_named_they_are_what_the_model_says_of_each(
    checkpoint: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile("new.zip", "w") as archive:
        for name in pictures:
            archive.write(name)
    Path("list.csv").write_text("note,path\n" + "".join(f"x,{name}\n" for name in reversed(pictures)))
    Path("new/list.csv").write_text("path\ndeep/c.png\n")
    below = [name.removeprefix("new/") for name in sorted(pictures)]
    said = {name: one.probabilities for name, one in zip(pictures, load(checkpoint).predict(pictures), strict=True)}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("".join(f"{n}\n" for n in pictures[3:]).encode())))
    for words, expected in (
        (["new"], below),
        (["new/b.png"], ["b.png"]),
        (["new.zip"], sorted(pictures)),
        (["list.csv"], pictures[::-1]),
        (["-"], pictures[3:]),
        (["new/b.png", "new/a.png", "new/b.png"], ["new/b.png", "new/a.png"]),
        (["new.zip", "new/list.csv", "new/deep"], [f"new.zip/{n}" for n in sorted(pictures)] + ["new/deep/c.png"]),
    ):
        found = predict(checkpoint, *words)
        assert [row["path"] for row in found] == expected, words
        for row in found:
            name = "new/" + row["path"].removeprefix("new.zip/").removeprefix("new/")
            assert [float(row[c]) for c in NAMES] == pytest.approx(said[name].tolist(), abs=2e-6)
            assert row["predicted"] == NAMES[int(said[name].argmax())]


def test_pictures_that_cannot_be_read_end_nothing_and_are_named(
    checkpoint: Path, pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = predict(checkpoint, "new")
    Path("new/cut.png").write_bytes(Path("new/a.png").read_bytes()[:-60])  # its head is as it should be
    Path("new/0.png").write_text("no picture")
    for more in ([], ["--data.num_workers", "1"], ["--views", "flip"]):
        found = predict(checkpoint, "new", *more)
        assert [row["path"] for row in found] == [row["path"] for row in whole]
        assert more[:1] == ["--views"] or found == whole
        with open("said/unreadable.csv", newline="") as file:
            bad = list(csv.DictReader(file))
        assert [row["path"] for row in bad] == ["0.png", "cut.png"]
        assert bad[0]["reason"] == "cannot be decoded (not a picture)"
        assert "2 pictures could not be read: 0.png (cannot be decoded (not a picture)), " in capsys.readouterr().out
    predict(checkpoint, "new/a.png", "new/none.png")
    assert Path("said/unreadable.csv").read_text().split("\n")[1] == (
        "new/none.png,cannot be read (No such file or directory)"
    )
    predict(checkpoint, "new/a.png")
    assert not Path("said/unreadable.csv").exists()
    assert sorted(os.listdir("said")) == ["predictions.csv"]


def test_lists_as_people_and_programs_write_them(checkpoint: Path, pictures: list[str]) -> None:
    Path("null").mkdir()
    Path("new/a.png").rename("null/a.png")
    assert [row["path"] for row in predict(checkpoint, "null")] == ["a.png"]
    with zipfile.ZipFile("some.zip", "w") as archive:
        archive.write("new/b.png", "in/b.png")
        archive.write("new/e.png", "in/e.png")
    odd = b"new/\xff.png"
    Path(os.fsdecode(odd)).write_bytes(Path("new/b.png").read_bytes())
    lines = [b"new/b.png\r", b"", b"new/./b.png", b"some.zip/in/b.png", b"null", b"gone.zip", b"http://x/y.png", odd]
    Path("list.txt").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")
    rows = predict(checkpoint, "list.txt")
    assert [row["path"] for row in rows] == ["new/b.png", "some.zip/in/b.png", "null/a.png", "new/\\udcff.png"]
    assert len({row["3"] for row in rows if not row["path"].startswith("null")}) == 1
    with open("said/unreadable.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["gone.zip", "http://x/y.png"]
    for kind in ("json", "parquet"):
        predict(checkpoint, "list.txt", "--format", kind)
    assert json.loads(Path("said/predictions.json").read_text())[3]["path"] == rows[3]["path"]
    assert parquet.read_table("said/predictions.parquet").to_pylist()[3]["path"] == rows[3]["path"]
    Path("zeros.txt").write_bytes(b"new/b.png\0new/e.png\0")
    assert [row["path"] for row in predict(checkpoint, "zeros.txt")] == ["new/b.png", "new/e.png"]


def test_weights_that_diverged_say_nothing(checkpoint: Path, pictures: list[str]) -> None:
    state = torch.load(checkpoint, weights_only=True)
    for value in state["state_dict"].values():
        if value.is_floating_point():
            value.fill_(torch.nan)
    torch.save(state, "nan.ckpt")
    predict(Path("nan.ckpt"), "new", code=2)
    assert not os.listdir("said")
    assert load("nan.ckpt").predict("new/a.png")[0].label == ""


def test_views_drawn_of_pictures_among_which_one_cannot_be_read(checkpoint: Path, pictures: list[str]) -> None:
    whole = predict(checkpoint, "new", "--views", "augment", "--data.augment", "light")
    Path("new/zz.png").write_text("no picture")
    assert predict(checkpoint, "new", "--views", "augment", "--data.augment", "light") == whole


def test_where_nothing_can_be_read_or_a_look_before_is_wanted_it_ends_in_a_line(
    checkpoint: Path, pictures: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("text.png").write_text("no picture")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    Path("none.csv").write_text("paths\nnew/a.png\n")
    Path("semicolons.csv").write_text("path;x\nnew/a.png;1\n")
    for words, said in (
        (["text.png"], "data.predict_root: of 1 none can be read: text.png (cannot be decoded (not a picture))"),
        (["nowhere"], "data.predict_root: 'nowhere' does not exist"),
        (["new/a.png", "--data.predict_root", "new"], "data.predict_root: pictures are named twice"),
        (["semicolons.csv"], "'semicolons.csv' has no column 'path'; its cells are set apart by ';'"),
        (["new", "--sort_into", "new/sorted"], "sort_into: 'new/sorted' is inside of 'new', which is predicted"),
        (["-"], "standard input names no pictures"),
        (["none.csv"], "'none.csv' has no column 'path'; did you mean paths?"),
        (["new", "text.png", "--data.on_bad_image", "error"], "data.on_bad_image: 1 file is no whole picture"),
        (["new", "--top_k", "0"], "predict.top_k: 0 is not a number of classes, 1 or more"),
        (["new", "--sort_into", "new"], "sort_into: 'new' is there already"),
        (["new", "--format", "xml"], "format"),
    ):
        predict(checkpoint, *words, code=2)
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
        assert not [path for path in Path().glob("said/*") if path.name != "unreadable.csv"]


def test_every_format_says_the_same(checkpoint: Path, pictures: list[str]) -> None:
    rows = predict(checkpoint, "new")
    for kind in ("json", "jsonl", "parquet"):
        predict(checkpoint, "new", "--format", kind)
    lines = [json.loads(line) for line in Path("said/predictions.jsonl").read_text().splitlines()]
    assert json.loads(Path("said/predictions.json").read_text()) == lines
    table = parquet.read_table("said/predictions.parquet")
    assert table.column_names == list(rows[0])
    for row, line, stored in zip(rows, lines, table.to_pylist(), strict=True):
        assert (row["path"], row["predicted"]) == (line["path"], line["predicted"])
        assert (row["path"], row["predicted"]) == (stored["path"], stored["predicted"])
        assert [float(row[name]) for name in NAMES] == pytest.approx([line["probabilities"][n] for n in NAMES])
        assert [float(row[name]) for name in NAMES] == pytest.approx([stored[n] for n in NAMES], abs=1e-6)
        assert line["probability"] == max(line["probabilities"].values())


def test_a_probability_that_is_no_number_is_null_in_json(pictures: list[str]) -> None:
    row = ("a.png", Prediction("", np.nan, np.array([np.nan, 0.25], np.float32)))
    write_table(Path("it.jsonl"), [row], ["x", "y"])
    said = {"path": "a.png", "predicted": None, "probability": None, "probabilities": {"x": None, "y": 0.25}}
    assert json.loads(Path("it.jsonl").read_text()) == said


def test_classes_that_are_called_as_columns_have_their_own(pictures: list[str]) -> None:
    classes = ["path", "path (class)", "predicted"]
    write_table(Path("it.parquet"), [("a.png", Prediction("path", 0.5, np.zeros(3, np.float32)))], classes)
    names = parquet.read_table("it.parquet").column_names
    assert len(set(names)) == 5
    assert names[:2] == ["path", "predicted"]
    assert names[3] == "path (class)"


def test_of_many_classes_the_most_probable(checkpoint: Path, pictures: list[str]) -> None:
    rows = predict(checkpoint, "new")
    most = predict(checkpoint, "new", "--top_k", "3")
    predict(checkpoint, "new", "--top_k", "99", "--format", "parquet")
    assert list(most[0]) == ["path", "predicted", *(f"{w}_{n}" for n in (1, 2, 3) for w in ("class", "probability"))]
    for row, few in zip(rows, most, strict=True):
        order = sorted(NAMES, key=lambda name: -float(row[name]))[:3]
        assert [few[f"class_{n}"] for n in (1, 2, 3)] == order
        assert [few[f"probability_{n}"] for n in (1, 2, 3)] == [row[name] for name in order]
    assert len(parquet.read_table("said/predictions.parquet").column_names) == 2 + 2 * 10


def test_copies_lie_in_a_folder_for_each_class_byte_by_byte(checkpoint: Path, pictures: list[str]) -> None:
    with zipfile.ZipFile("new.zip", "w") as archive:
        archive.write("new/a.png")
    os.mkdir("here")
    Path("new/bad.png").write_text("no picture")
    rows = predict(checkpoint, "new", "new.zip", "here/../new/a.png", "--sort_into", "sorted")
    found = sorted(path.relative_to("sorted").as_posix() for path in Path("sorted").rglob("*.*") if path.is_file())
    assert len(found) == 8  # the last has been named already
    assert found == sorted(f"{row['predicted']}/{row['path']}" for row in rows)
    for row in rows[:7]:
        assert Path("sorted", row["predicted"], row["path"]).read_bytes() == Path(row["path"]).read_bytes()


def test_a_class_that_is_called_like_a_path_leads_nowhere_else(pictures: list[str], tmp_path: Path) -> None:
    source, _ = open_unlabelled(["new/a.png", "new/../../outside.png", "outside.png"], "later")
    for place in ("../outside.png", "outside.png"):
        Path(place).write_text(place)
    labels = [(0, "../../cat"), (1, ".."), (2, ".."), (0, ""), (0, "none"), (0, "a/b"), (0, "a_b"), (0, "A_b")]
    copy_sorted(Path("sorted"), source, [*labels, (0, "CON"), (0, 300 * "x")])
    found = {path.relative_to(tmp_path).as_posix() for path in Path("sorted").absolute().rglob("*.png")}
    folders = ("_.._cat", "none", "none-2", "a_b", "a_b-2", "A_b-3", "CON_", 100 * "x")
    assert found == {f"sorted/{name}/new/a.png" for name in folders} | {
        "sorted/_/outside.png", "sorted/_/outside-2.png"
    }  # fmt: skip
    assert Path("sorted/_/outside-2.png").read_text() == "outside.png"


def test_what_is_less_probable_than_wanted_is_none_of_the_classes(checkpoint: Path, pictures: list[str]) -> None:
    rows = predict(checkpoint, "new")
    sure = sorted(max(float(row[name]) for name in NAMES) for row in rows)
    below = (sure[2] + sure[3]) / 2
    found = predict(checkpoint, "new", "--model.reject_below", str(below), "--sort_into", "sorted")
    for row, before in zip(found, rows, strict=True):
        rejected = max(float(row[name]) for name in NAMES) < below
        assert row == {**before, "predicted": "" if rejected else before["predicted"]}
    assert [row["predicted"] for row in found].count("") == 3
    assert len(list(Path("sorted/none").rglob("*.*"))) == 3
    model = load(checkpoint, reject_below=below)
    assert [one.label for one in model.predict(sorted(pictures))] == [row["predicted"] for row in found]
    predict(checkpoint, "new", "--model.reject_below", "1.5", code=2)


def test_the_least_sure_come_first_and_are_drawn(checkpoint: Path, pictures: list[str]) -> None:
    sure = [0.9, 0.4, 0.7, 0.4, 0.5]
    found = least_sure([(i, Prediction("a", p, np.array([p], np.float32))) for i, p in enumerate(sure)], 3)
    assert [index for index, _ in found] == [1, 3, 4]
    predict(checkpoint, "new", "--least_sure", "4")
    with Image.open("said/figures/least_sure.png") as image:
        assert min(image.size) > 200


@pytest.mark.slow
def test_two_processes_give_the_file_of_one_and_one_picture_needs_no_second(
    checkpoint: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("new/cut.png").write_bytes(Path("new/a.png").read_bytes()[:-60])
    command = [sys.executable, "-m", "lightning_recipes", "predict", "-", "--ckpt_path", str(checkpoint)]
    command += ["--data.eval_batch_size", "2", "--trainer.accelerator", "cpu"]
    listed = "".join(f"{name}\n" for name in [*pictures, "new/cut.png"]).encode()
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    for folder, more in (("one", []), ("two", two)):
        subprocess.run([*command, "--run_dir", folder, *more], input=listed, check=True, timeout=240)
    for name in ("predictions.csv", "unreadable.csv"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert sorted(os.listdir("two")) == ["predictions.csv", "unreadable.csv"]
    subprocess.run([*command, "--run_dir", "alone", *two], input=b"new/a.png\n", check=True, timeout=240)
    assert len(Path("alone/predictions.csv").read_text().splitlines()) == 2


def test_rows_are_read_back_in_order_whatever_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "AT_ONCE", 3)
    kind = rows_module.row_type(2)
    for rank in range(2):
        rows = np.zeros(11 - rank, kind)
        rows["index"] = np.arange(rank, 21, 2)
        rows["probabilities"][:, 0] = rows["index"] / 100
        rows["index"][4] = ~rows["index"][4]
        rows.tofile(tmp_path / str(rank))

    def said(probabilities: Tensor) -> Prediction:
        return Prediction("a", 1.0, probabilities.numpy())

    found = rows_module.PredictedRows([tmp_path / "0", tmp_path / "1"], 2, said)
    assert found.unreadable == [8, 9]
    assert found.count == 19
    for _ in range(2):
        assert [index for index, _ in found] == [*range(8), *range(10, 21)]
    assert [round(float(one.probabilities[0]) * 100) for _, one in found] == [*range(8), *range(10, 21)]
