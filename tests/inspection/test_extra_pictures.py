"""Extra pictures beside the data: which of them are in what is held out, and what they leave as it is."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.inspection.inspect import inspect
from tests.inspection.scenes import folders, mirrored, recompressed, scene


@pytest.fixture(autouse=True)
def _draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_recipes.inspection.inspect.draw_sheets", lambda *_: None)


def planted(root: Path) -> tuple[Path, Path]:
    """Forty pictures, and seven extra ones: one of validation saved anew, one of training mirrored, and five others."""
    photos = folders(root / "photos", 10)
    made = root / "made" / "ant"
    made.mkdir(parents=True)
    recompressed(scene(21)).save(made / "saved.jpg")
    mirrored(scene(1)).save(made / "mirrored.png")
    for number in range(5):
        scene(100 + number).save(made / f"{number}.png")
    return photos, root / "made"


def report_of(data: Path, extra: Path | None, out: Path) -> dict[str, Any]:
    return inspect(str(data), str(out), extra=None if extra is None else str(extra), workers=1).report


def test_an_extra_picture_that_is_a_held_out_one_is_a_leak(tmp_path: Path) -> None:
    photos, made = planted(tmp_path)
    report = report_of(photos, made, tmp_path / "out")
    assert report["splits"] == {"train": 20, "val": 20, "extra": 7}
    leaks = {frozenset(zip(one["splits"], one["paths"], strict=True)) for one in report["leaks"]}
    assert leaks == {
        frozenset({("val", "val/ant/1.png"), ("extra", f"{made}/ant/saved.jpg")}),
        frozenset({("train", "train/ant/1.png"), ("extra", f"{made}/ant/mirrored.png")}),
    }
    assert report["findings"][0]["what"] == "1 of the 20 images of val are in extra too"


def test_what_is_said_of_the_data_is_what_is_said_without(tmp_path: Path) -> None:
    photos, made = planted(tmp_path)
    shutil.make_archive(str(tmp_path / "made"), "zip", made)
    plain, beside = (
        report_of(photos, one, tmp_path / f"out{n}") for n, one in enumerate((None, tmp_path / "made.zip"))
    )
    assert plain["leaks"] == []
    assert len(beside["leaks"]) == 2
    for key in ("shortcuts", "groups", "label_conflicts", "corrupt"):
        assert plain[key] == beside[key], key


def test_where_no_image_is_held_out_yet_one_of_the_data_is_warned_of(tmp_path: Path) -> None:
    photos, made = planted(tmp_path)
    report = report_of(photos / "train", made, tmp_path / "out")
    assert report["findings"][0]["what"].startswith("1 of the 7 extra pictures are in the data too")


def test_an_unknown_class_is_one_line(tmp_path: Path) -> None:
    photos, made = planted(tmp_path)
    (made / "ant").rename(made / "ants")
    with pytest.raises(
        UserError, match=r"^extra: .* pictures of 'ants', which is no class of the data; did you mean ant\?"
    ):
        report_of(photos, made, tmp_path / "out")
