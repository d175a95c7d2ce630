"""Fifty kinds of files that turn up among photographs: what is said of each, and that none ends a command or a fit."""

import csv
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from lightning_recipes.__main__ import main
from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.sources.faults import CUT_SHORT
from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.inspection.inspect import inspect
from lightning_recipes.preparation.prepare import prepare
from lightning_recipes.preparation.repair import mend
from tests.data.bad_files import KINDS, Kind, cut, picture, plant, stored
from tests.inspection.scenes import folders

GOOD = 10
"""Sound pictures of each class, beside what is planted."""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # on metadata of damaged files


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders, in one of which a file of every kind lies."""
    root = folders(tmp_path_factory.mktemp("bad"), GOOD, splits=("photos",)) / "photos"
    plant(root / "ant")
    return root


@pytest.fixture(scope="module")
def report(photos: Path) -> dict[str, Any]:
    """What ``inspect`` says of them."""
    with pytest.MonkeyPatch.context() as patch:  # most of the time of it, and nothing that is asked about here
        patch.setattr("lightning_recipes.inspection.inspect.draw_sheets", lambda *_: None)
        patch.setattr("lightning_recipes.inspection.inspect.find_shortcuts", lambda *_: [])
        return inspect(str(photos), str(photos.parent / "inspected"), workers=1).report


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "prepared.csv").open(newline="", encoding="utf-8") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def skipped(photos: Path) -> Path:
    """What is prepared by leaving bad files out."""
    prepare(str(photos), str(photos.parent / "skipped"), on_bad_image="skip")
    return photos.parent / "skipped"


@pytest.fixture(scope="module")
def repaired(photos: Path) -> Path:
    """What is prepared by mending them."""
    prepare(str(photos), str(photos.parent / "repaired"), on_bad_image="repair")
    return photos.parent / "repaired"


def path_of(kind: Kind) -> str:
    """As tables and reports have it."""
    return f"ant/{kind.name}".encode("utf-8", "replace").decode()


def test_there_are_many_kinds() -> None:
    assert len(KINDS) >= 50
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_inspect_says_what_it_is(kind: Kind, report: dict[str, Any]) -> None:
    path = path_of(kind)
    corrupt = ["corrupt"] * any(one["path"] == path for one in report["corrupt"])
    said = corrupt + [one["kind"] for one in report["suspicious"] if one["path"] == path]
    by_the_way = {"elongated", "one colour", "tiny"} - {kind.inspected}  # of small pictures, as some of these are
    assert set(said) - by_the_way == ({kind.inspected} if kind.inspected else set())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_prepare_leaves_out_what_cannot_be_read_and_copies_the_rest(kind: Kind, skipped: Path, photos: Path) -> None:
    row = table(skipped).get(path_of(kind))
    if kind.skipped == "passed over":
        assert row is None
    elif kind.skipped == "dropped":
        assert row is not None
        assert (row["done"], row["path"]) == ("dropped", "")
        assert row["reason"]
    else:
        assert row is not None
        assert (row["done"], row["label"]) == ("kept", "ant")
        assert (skipped / row["path"]).read_bytes() == (photos / "ant" / kind.name).read_bytes()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_prepare_mends_what_can_be_mended(kind: Kind, repaired: Path, photos: Path) -> None:
    row = table(repaired).get(path_of(kind))
    done = {"passed over": None, "dropped": "dropped", "copied": "kept", "repaired": "repaired"}[kind.mended]
    assert (row and row["done"]) == done
    if row and kind.mended == "copied":
        assert (repaired / row["path"]).read_bytes() == (photos / "ant" / kind.name).read_bytes()


def test_every_image_that_is_left_can_be_read(photos: Path, skipped: Path, repaired: Path) -> None:
    left = sum(kind.skipped == "copied" for kind in KINDS.values())
    mended = sum(kind.mended == "repaired" and kind.skipped == "dropped" for kind in KINDS.values())
    for root, count in (
        (photos, left), (skipped, left), (repaired, left + mended), (repaired / "manifest.csv", left + mended)
    ):  # fmt: skip
        splits = open_splits(root, on_bad_image="skip").splits
        parts = [splits.train, splits.val]
        assert sum(map(len, parts)) == 2 * GOOD + count
        for part in parts:
            for index in range(len(part)):
                image = part.read(index, 32)
                assert image.dtype == np.uint8
                assert image.shape[2] == 3


def test_an_error_names_them_in_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(photos), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    bad = sum(kind.skipped == "dropped" for kind in KINDS.values())
    assert said.startswith(f"lightning-recipes: on_bad_image: {bad} files are no whole picture in '{photos}': ")
    assert f" and {bad - 10} more; mend or remove them, or give skip, or repair" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.skipped == "dropped"], ids=lambda kind: kind.name
)
def test_an_error_names_a_file_that_is_alone(kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folders(tmp_path, 1, splits=("photos",)) / "photos"
    kind.make(root / "ant" / kind.name)
    assert main(["prepare", str(root), str(tmp_path / "out")]) == 2
    assert f"1 file is no whole picture in '{root}': ant/{kind.name} (" in capsys.readouterr().err


def fit(root: Path, run_dir: Path, workers: int) -> int:
    words = f"--data.root {root} --data.on_bad_image skip --data.image_size 32 --data.num_workers {workers}"
    model = "--model.backbone test_resnet --model.pretrained false --trainer.max_epochs 1 --gradcam.images 0"
    quick = "--errors.run false --trainer.accelerator cpu --trainer.logger false --trainer.enable_progress_bar false"
    return main(["fit", "--run_dir", str(run_dir), *f"{words} {model} {quick} --data.batch_size 8".split()])


@pytest.mark.filterwarnings("ignore")
def test_a_fit_goes_on_beside_every_kind(photos: Path, tmp_path: Path) -> None:
    assert fit(photos, tmp_path / "run", 0) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_fit_goes_on_beside_every_kind_with_workers(photos: Path, tmp_path: Path) -> None:
    assert fit(photos, tmp_path / "run", 2) == 0


def test_what_is_mended_has_the_rows_that_were_there_and_no_others(repaired: Path) -> None:
    """Against the whole picture that each was made of: the first rows of it or, in a BMP, the last."""
    rows = table(repaired)
    for name, kind, mode in (
        ("most.jpg", "JPEG", "RGB"), ("most.png", "PNG", "RGB"), ("most.bmp", "BMP", "RGB"),
        ("inks_most.jpg", "JPEG", "CMYK"),
    ):  # fmt: skip
        whole = decode_image(io.BytesIO(stored(kind, picture(mode=mode))), name)
        with (repaired / rows[f"ant/{name}"]["path"]).open("rb") as file:
            found = decode_image(file, name)
        assert 0.9 * len(whole) <= len(found) < len(whole)
        there = whole[-len(found) :] if kind == "BMP" else whole[: len(found)]
        np.testing.assert_array_equal(found, there)
        assert rows[f"ant/{name}"]["reason"] == f"was cut short; {len(found)} of its {len(whole)} rows are there"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16"])
def test_a_png_of_any_mode_that_was_cut_short_keeps_its_rows(mode: str) -> None:
    image = picture(mode="L") if mode == "I;16" else picture().convert(mode)
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image
    data = stored("PNG", image)
    how = mend(cut(data, 0.97), "a.png", CUT_SHORT)
    assert how is not None
    assert how.content is not None
    whole, found = (decode_image(io.BytesIO(one), "a.png") for one in (data, how.content))
    assert 0.9 * len(whole) <= len(found) < len(whole)
    np.testing.assert_array_equal(found, whole[: len(found)])


def test_a_photograph_of_a_camera_that_was_turned_is_mended_upright() -> None:
    image = picture()
    image.getexif()[0x0112] = 6
    data = stored("JPEG", image, exif=image.getexif())
    how = mend(cut(data, 0.97), "a.jpg", CUT_SHORT)
    assert how is not None
    assert how.content is not None
    whole, found = (decode_image(io.BytesIO(one), "a.jpg") for one in (data, how.content))
    assert found.shape[0] == whole.shape[0]
    np.testing.assert_array_equal(found, whole[:, -found.shape[1] :])  # its top is at the right now


def test_a_first_page_that_a_png_would_not_hold_as_it_is_read_is_left_as_it_is(tmp_path: Path) -> None:
    """Colour of 12 bits in 16: Pillow keeps the higher eight, which are nearly black, and training scales all of it."""
    pages = [np.asarray(picture(seed)).astype(np.uint16) * 16 for seed in (0, 1)]
    assert cv2.imwritemulti(str(tmp_path / "deep.tif"), pages)
    data = (tmp_path / "deep.tif").read_bytes()
    assert decode_image(io.BytesIO(data), "deep.tif").max() > 200
    assert mend(data, "deep.tif", "") is None
