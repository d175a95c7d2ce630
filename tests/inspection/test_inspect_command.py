"""``inspect`` as a user types it: what was planted is in the files it writes, whatever was known, stopped or shared."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lightning_recipes.__main__ import main
from lightning_recipes.data.sources.write_shards import write_shards
from lightning_recipes.errors import UserError
from lightning_recipes.inspection.chunks import Chunks
from lightning_recipes.inspection.inspect import inspect
from tests.inspection.scenes import cropped, folders, mirrored, recompressed, scene
from tests.pictures import stored

KEYS = {
    "images", "classes", "corrupt", "exact_duplicates", "near_duplicates", "leaks", "label_conflicts", "outliers",
    "shortcuts", "seconds", "peak_memory_bytes",
}  # fmt: skip
MEASURED = ("seconds", "peak_memory_bytes")


def planted(root: Path) -> Path:
    """Forty pictures, and what is wrong with some: 0 ant is twice in train, 1 in val too, 2 in val as a bee."""
    folders(root, 10)
    shutil.copy(root / "train/ant/0.png", root / "train/ant/copy.png")
    recompressed(scene(1)).save(root / "val/ant/same.jpg")
    mirrored(scene(2)).save(root / "val/bee/mirrored.png")
    recompressed(cropped(scene(3), 0.12, 0), 85).save(root / "train/ant/part.jpg")
    (root / "train/bee/broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (96, 72)).save(root / "val/bee/black.png")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of an inspection of what is planted, and its report."""
    folder = tmp_path_factory.mktemp("inspected")
    planted(folder / "photos")
    return folder / "out", inspect(str(folder / "photos"), str(folder / "out"), workers=1).report


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, and look for no shortcuts: most of the time that an inspection of a few pictures takes."""
    monkeypatch.setattr("lightning_recipes.inspection.inspect.draw_sheets", lambda *_: None)
    monkeypatch.setattr("lightning_recipes.inspection.inspect.find_shortcuts", lambda *_: [])


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "inspect.json").read_text())
    return found


def without_measured(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in (*MEASURED, "data", "shortcuts")}


def paths(found: list[dict[str, Any]]) -> set[frozenset[str]]:
    return {frozenset(one["paths"]) for one in found}


def test_what_is_planted_is_named_and_nothing_else(made: tuple[Path, dict[str, Any]]) -> None:
    report = report_of(made[0])
    assert set(report) >= KEYS
    assert report["images"] == 46
    assert {one["name"]: one["images"] for one in report["classes"]} == {"ant": 23, "bee": 23}
    assert [(one["path"], one["what"]) for one in report["corrupt"]] == [("train/bee/broken.jpg", "not a picture")]
    assert paths(report["exact_duplicates"]) == {frozenset({"train/ant/0.png", "train/ant/copy.png"})}
    near = {
        frozenset({"train/ant/1.png", "val/ant/same.jpg"}), frozenset({"train/ant/2.png", "val/bee/mirrored.png"}),
        frozenset({"train/ant/3.png", "train/ant/part.jpg"}),
    }  # fmt: skip
    assert paths(report["near_duplicates"]) == near
    assert {one["kind"] for one in report["near_duplicates"]} == {"same", "mirrored", "cropped"}
    assert paths(report["leaks"]) == {pair for pair in near if any("val" in path for path in pair)}
    assert paths(report["label_conflicts"]) == {frozenset({"train/ant/2.png", "val/bee/mirrored.png"})}
    assert [(one["path"], one["kind"]) for one in report["suspicious"]] == [("val/bee/black.png", "one colour")]
    assert report["outliers"] == []
    assert report["peak_memory_bytes"] > 2**20


def test_the_most_important_is_said_first_with_its_number(made: tuple[Path, dict[str, Any]]) -> None:
    found = made[1]["findings"]
    assert found[0]["what"] == "2 of the 23 images of val are in train too"
    assert found[0]["number"].startswith("8.7 % of val (95 %: ")
    assert "broken.jpg" in found[1]["what"]
    assert "1 image is an exact copy of another, 3 pairs of images are nearly the same" in [
        one["what"] for one in found
    ]
    assert [one["weight"] for one in found] == sorted((one["weight"] for one in found), reverse=True)


def test_pictures_and_a_page_show_it(made: tuple[Path, dict[str, Any]]) -> None:
    figures = made[0] / "figures"
    assert {path.stem for path in figures.iterdir()} == {
        "classes", "exact_duplicates", "label_conflicts", "leaks", "near_duplicates"
    }  # fmt: skip
    for path in figures.iterdir():
        with Image.open(path) as sheet:
            assert min(sheet.size) > 150
    page = (made[0] / "inspect.html").read_text()
    assert "val/bee/mirrored.png" in page
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.partition("</style>")[2]


def test_the_terminal_has_a_table_of_80_columns(
    made: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    photos = made[0].parent / "photos"
    assert main(["inspect", str(photos), "--out", str(made[0]), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "46 images (23 train, 23 val) of 2 classes in " in said
    assert "46 known from before" in said
    assert "2 of the 23 images of val" in said
    assert all(len(line) <= 80 for line in said.splitlines() if str(photos.parent) not in line)


def test_a_sheet_of_what_is_no_longer_found_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_recipes.inspection.inspect.find_shortcuts", lambda *_: [])
    photos = folders(tmp_path / "photos", 2)
    shutil.copy(photos / "train/ant/0.png", photos / "train/ant/copy.png")
    inspect(str(photos), str(tmp_path / "out"), workers=1)
    assert (tmp_path / "out/figures/exact_duplicates.png").exists()
    (photos / "train/ant/copy.png").unlink()
    inspect(str(photos), str(tmp_path / "out"), workers=1)
    assert not (tmp_path / "out/figures/exact_duplicates.png").exists()


@pytest.mark.usefixtures("quick")
def test_a_zip_and_a_csv_of_the_same_say_the_same(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    photos = made[0].parent / "photos"
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photos.rglob("*.*")):
            archive.write(path, path.relative_to(photos))
    zipped = inspect(str(tmp_path / "photos.zip"), str(tmp_path / "out"), workers=1).report
    assert without_measured(zipped) == without_measured(made[1])
    rows = [(path.relative_to(photos), path.parts[-2], path.parts[-3]) for path in sorted(photos.rglob("*.*"))]
    with (photos.parent / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *(("photos" / row[0], *row[1:]) for row in rows)])
    listed = inspect(str(photos.parent / "photos.csv"), str(tmp_path / "listed"), workers=1).report
    assert len(listed["leaks"]) == 2
    assert listed["splits"] == {"train": 23, "val": 23}


@pytest.mark.usefixtures("quick")
@pytest.mark.usefixtures("quick")
def test_shards_below_a_url_say_what_the_folder_says(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    write_shards(stored(planted(tmp_path / "photos")), tmp_path / "shards")
    report = inspect(f"file://{tmp_path}/shards", str(tmp_path / "out"), workers=2).report
    assert report["data"] == f"file://{tmp_path}/shards"
    assert without_measured(report) == without_measured(made[1])
    assert inspect(f"file://{tmp_path}/shards", str(tmp_path / "out"), workers=1).reused == report["images"]


def test_known_files_are_not_measured_again_and_changed_ones_are(tmp_path: Path) -> None:
    photos = planted(tmp_path / "photos")
    first = inspect(str(photos), str(tmp_path / "out"), workers=1)
    again = inspect(str(photos), str(tmp_path / "out"), workers=1)
    assert (first.reused, again.reused) == (0, 46)
    assert without_measured(first.report) == without_measured(again.report)
    scene(999).save(photos / "train/ant/copy.png")
    (photos / "train/bee/broken.jpg").unlink()
    changed = inspect(str(photos), str(tmp_path / "out"), workers=1)
    assert changed.reused == 44
    assert (changed.report["exact_duplicates"], changed.report["corrupt"]) == ([], [])


@pytest.mark.usefixtures("quick")
def test_several_processes_find_what_one_finds(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_recipes.inspection.workers.TASK", 5)
    shared = inspect(str(made[0].parent / "photos"), str(tmp_path / "out"), workers=3).report
    assert without_measured(shared) == without_measured(made[1])


@pytest.mark.usefixtures("quick")
def test_a_run_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = planted(tmp_path / "photos")
    monkeypatch.setattr("lightning_recipes.inspection.workers.TASK", 8)
    monkeypatch.setattr("lightning_recipes.inspection.chunks.ROWS", 8)

    def kill(does: str, done: int, of: int) -> None:
        if done >= 24:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        inspect(str(photos), str(tmp_path / "out"), workers=1, progress=kill)
    assert not (tmp_path / "out/inspect.json").exists()
    gone_on = inspect(str(photos), str(tmp_path / "out"), workers=1)
    assert gone_on.reused == 24
    whole = inspect(str(photos), str(tmp_path / "whole"), workers=1)
    assert without_measured(gone_on.report) == without_measured(whole.report)


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    photos = folders(tmp_path / "photos", 300)
    words = ["inspect", str(photos), "--out", str(tmp_path / "out"), "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "lightning_recipes", *words], start_new_session=True)
    until = time.monotonic() + 120
    while not (children := _children(process.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert children
    until = time.monotonic() + 30
    while any(map(_lives, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not list(filter(_lives, children))


def _lives(pid: int) -> bool:
    """Tell whether a process is at work: where nobody waits for an orphan, it stays in the table when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.usefixtures("quick")
def test_a_chunk_that_is_no_chunk_is_passed_over(tmp_path: Path) -> None:
    photos = folders(tmp_path / "photos", 3)
    inspect(str(photos), str(tmp_path / "out"), workers=1)
    (chunk,) = (tmp_path / "out/.cache").glob("*.npz")
    chunk.write_bytes(chunk.read_bytes()[:300])
    assert inspect(str(photos), str(tmp_path / "out"), workers=1).reused == 0


WRONG = {
    "data: 'nowhere' does not exist": ["nowhere"],
    "out: 'inside' is inside of the data": ["photos", "--out", "inside"],
    "out: 'other' holds the inspection of": ["photos", "--out", "other"],
    "workers: 0 is not a whole number >= 1": ["photos", "--workers", "0"],
    "pretrained: is of a backbone, and none is given": ["photos", "--pretrained", "weights.safetensors"],
    "backbone: 'resnet81' is not a timm model; did you mean": ["photos", "--backbone", "resnet81"],
    "--wrokers: there is no such option": ["photos", "--wrokers", "2"],
    "several labels": ["several.csv"],
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", WRONG)
def test_a_mistake_is_one_line_and_code_2(said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = folders(tmp_path / "photos", 2)
    Path("inside").symlink_to(photos / "out")
    (tmp_path / "other/.cache").mkdir(parents=True)
    (tmp_path / "other/.cache/data.json").write_text('{"data": "/somewhere/else"}')
    (tmp_path / "several.csv").write_text("path,label\nphotos/train/ant/0.png,a|b\nphotos/train/ant/1.png,b\n")
    assert main(["inspect", *WRONG[said]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lightning-recipes: ")
    assert error.count("\n") == 1
    if said == "several labels":
        assert "takes one label an image" in error
    else:
        assert said in error


def test_python_gets_the_same_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data: 'nowhere' does not exist"):
        inspect("nowhere", str(tmp_path / "out"))


@pytest.mark.usefixtures("quick")
def test_a_set_without_one_whole_picture_is_survived(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "0.jpg").write_bytes(b"no picture")
    report = inspect(
        str(tmp_path / "photos"), workers=1, backbone="test_resnet", pretrained=False, image_size=32
    ).report
    assert len(report["corrupt"]) == 2
    assert (report["shortcuts"], report["outliers"], report["near_duplicates"]) == ([], [], [])
    assert Path("inspect/photos/inspect.html").exists()


@pytest.mark.usefixtures("quick")
def test_a_name_that_is_no_text_is_survived(tmp_path: Path) -> None:
    photos = folders(tmp_path / "photos", 2)
    odd = os.fsdecode(b"\xff.png")
    shutil.copy(photos / "train/ant/0.png", photos / "val/ant" / odd)
    report = inspect(str(photos), str(tmp_path / "out"), workers=1).report
    assert paths(report["leaks"]) == {frozenset({"train/ant/0.png", "val/ant/?.png"})}
    assert (tmp_path / "out/inspect.html").exists()


def test_chunks_know_a_file_by_its_stamp(tmp_path: Path) -> None:
    import numpy as np

    kept = Chunks(tmp_path, "kind", np.dtype([("value", "i4")]))
    kept.add([("a", "1"), ("b", "")], np.array([(3,), (4,)], kept.dtype), ["x", "y"])
    kept.flush()
    assert {place: (int(row["value"]), note) for place, (row, note) in kept.known([("a", "1")]).items()} == {
        0: (3, "x")
    }
    assert kept.known([("b", "")]) == {}
    assert Chunks(tmp_path, "kind", np.dtype([("value", "i8")])).known([("a", "1")]) == {}
