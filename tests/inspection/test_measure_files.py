"""Files as people have them: what is wrong with each is named, and none of them ends an inspection."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.sources.files import Folder
from lightning_recipes.inspection import workers as workers_module
from lightning_recipes.inspection.chunks import Chunks
from lightning_recipes.inspection.measure import RECORD, Note, measure_files
from lightning_recipes.inspection.workers import KILLS, KIND, measure_all
from tests.inspection.scenes import scene

PICTURE = scene(0)


def encoded(kind: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def measured(folder: Path, name: str, data: bytes) -> tuple[np.void, Note]:
    (folder / name).write_bytes(data)
    records, notes = measure_files(Folder(str(folder)), [name])
    return records[0], notes[0]


def animation() -> bytes:
    return encoded("GIF", save_all=True, append_images=[scene(1), scene(2)])


def deep(bits: int) -> bytes:
    values = np.asarray(PICTURE.convert("L")).astype(np.uint16) << (bits - 8)
    return encoded("PNG", Image.fromarray(values))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif.tobytes())


def palette() -> bytes:
    return encoded("PNG", PICTURE.convert("P"), transparency=0)


def unfinished() -> bytes:
    picture = np.asarray(PICTURE).copy()
    picture[40:] = 128
    return encoded("JPEG", Image.fromarray(picture), quality=95)


def huge_header() -> bytes:
    """A PNG that says it has 40,000 x 40,000 pixels."""
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"<html>404</html>", "not a picture"),
    "short.jpg": (lambda: encoded("JPEG", scene(0, 400, 300), quality=95)[:9000], "cut short"),
    "short.png": (lambda: encoded("PNG")[:2000], "cut short"),
    "short.webp": (lambda: encoded("WEBP")[:-50], "cut short"),
    "header.jpg": (lambda: encoded("JPEG")[:30], ""),
    "bomb.png": (huge_header, "1600000000 pixels"),
    "noise.png": (lambda: encoded("PNG")[:60] + os.urandom(500), ""),
    "photo.heic": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 60, "not a picture"),
}
UNUSUAL: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "film.gif": (animation, "animated", "3 frames"),
    "photo.png": (lambda: encoded("JPEG"), "wrong extension", "is called .png, and is JPEG"),
    "xray.png": (lambda: deep(12), "deep, 12 bits", "12 bits"),
    "scan.png": (lambda: deep(16), "deep, 16 bits", "16 bits"),
    "ink.jpg": (lambda: encoded("JPEG", PICTURE.convert("CMYK")), "CMYK", "four inks"),
    "phone.jpg": (turned, "rotated by EXIF", "orientation 6"),
    "logo.png": (palette, "palette with transparency", "white"),
    "cutout.png": (lambda: encoded("PNG", PICTURE.convert("RGBA")), "transparency", "white"),
    "white.png": (lambda: encoded("PNG", Image.new("RGB", (60, 40), "white")), "one colour", "(255, 255, 255)"),
    "banner.png": (lambda: encoded("PNG", PICTURE.resize((300, 30))), "elongated", "300 x 30"),
    "grey.jpg": (unfinished, "unfinished", "plain grey"),
    "pages.tif": (
        lambda: encoded("TIFF", save_all=True, append_images=[scene(1)]), "several pages", "2 pages"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    data, fault = BAD[name]
    record, note = measured(tmp_path, name, data())
    assert note.fault
    assert fault in note.fault
    assert record["bytes"] == len(data()) or name == "noise.png"
    assert not record["seen"]


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_file_is_named_with_what_is_unusual(name: str, tmp_path: Path) -> None:
    data, kind, what = UNUSUAL[name]
    record, note = measured(tmp_path, name, data())
    assert not note.fault
    assert [remark.kind for remark in note.remarks] == [kind]
    assert what in note.remarks[0].what
    assert record["seen"]


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp"), ("BMP", "a.bmp")])
def test_an_ordinary_file_has_no_remark(kind: str, name: str, tmp_path: Path) -> None:
    record, note = measured(tmp_path, name, encoded(kind))
    assert note == Note("", kind, "RGB", ())
    assert (record["width"], record["height"], record["bits"]) == (*PICTURE.size, 8)


def test_a_turned_picture_is_measured_as_it_is_shown(tmp_path: Path) -> None:
    record, _ = measured(tmp_path, "phone.jpg", turned())
    assert (record["width"], record["height"]) == PICTURE.size[::-1]


def test_a_file_that_is_gone_or_may_not_be_read_is_named(tmp_path: Path) -> None:
    (_,), (note,) = measure_files(Folder(str(tmp_path)), ["gone.png"])
    assert note.fault == "No such file or directory"


def test_equal_pixels_in_other_files_have_one_digest(tmp_path: Path) -> None:
    first, _ = measured(tmp_path, "a.png", encoded("PNG"))
    other, _ = measured(tmp_path, "a.bmp", encoded("BMP"))
    moved, _ = measured(tmp_path, "b.png", encoded("PNG", Image.fromarray(np.roll(np.asarray(PICTURE), 1, axis=0))))
    assert first["pixels"].tobytes() == other["pixels"].tobytes() != moved["pixels"].tobytes()
    assert first["file"].tobytes() != other["file"].tobytes()


def test_any_bytes_at_all_are_survived(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    names = []
    for number in range(60):
        kind = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")[number % 6]
        data = bytearray(encoded(kind))
        for place in generator.integers(0, len(data), 8):
            data[place] = int(generator.integers(0, 256))
        names.append(f"{number}.{kind.lower()}")
        (tmp_path / names[-1]).write_bytes(bytes(data))
    records, notes = measure_files(Folder(str(tmp_path)), names)
    assert len(records) == len(notes) == 60
    assert all(record["seen"] for record, note in zip(records, notes, strict=True) if not note.fault)


def ends_the_process(tree: Folder, names: list[str]) -> tuple[NDArray[np.void], list[Note]]:
    if "2.png" in names:
        os._exit(11)
    return measure_files(tree, names)


def test_a_file_that_kills_the_decoder_is_named_and_takes_no_other_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(5)]
    for number, name in enumerate(names):
        scene(number).save(tmp_path / name)
    monkeypatch.setattr(workers_module, "measure_files", ends_the_process)
    monkeypatch.setattr(workers_module, "TASK", 2)
    kept = Chunks(tmp_path / "kept", KIND, RECORD)
    found = measure_all(Folder(str(tmp_path)), names, kept, workers=2, progress=lambda *_: None)
    assert [note.fault for note in found.notes] == ["", "", KILLS, "", ""]
