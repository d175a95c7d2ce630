"""Whole pictures pass and broken ones are told, by Pillow's own files and by damage done to them here."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.sources.faults import fault_of, look_at
from lightning_recipes.errors import UserError


def noise(size: int = 64, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8))


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_thumbnail(jpeg: bytes) -> bytes:
    """A JPEG as a camera writes it: in its header is another, smaller one."""
    inside = b"Exif\0\0" + stored(noise(32), "JPEG")
    return jpeg[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + jpeg[2:]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda data: b"", "empty"),
        (lambda data: b"hello" * 50, "not a picture"),
        (lambda data: data[: len(data) // 2], "cut short"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_what_is_no_whole_picture_is_told(kind: str, damage: Any, fault: str) -> None:
    whole = stored(noise(), kind)
    assert fault_of(io.BytesIO(whole)) is None
    assert fault_of(io.BytesIO(damage(whole))) == fault


def test_a_photo_cut_short_is_told_though_its_thumbnail_is_whole() -> None:
    photo = with_thumbnail(stored(noise(), "JPEG", quality=90))
    assert fault_of(io.BytesIO(photo)) is None
    assert fault_of(io.BytesIO(photo[:-1500])) == "cut short"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("JPEG", lambda data: data + b"\0ftypmp42" + b"\1\2\3" * 100_000),  # a phone's photo with a film behind it
        ("PNG", lambda data: data + b"\n"),
        ("BMP", lambda data: data + b"\0" * 8192),
    ],
)
def test_what_can_be_decoded_is_no_fault_though_its_end_is_unusual(kind: str, change: Any) -> None:
    data = change(stored(noise(), kind))
    assert fault_of(io.BytesIO(data)) is None
    assert decode_image(io.BytesIO(data), "x").shape == (64, 64, 3)


def test_an_animation_cut_behind_its_first_frame_can_be_used() -> None:
    data = stored(noise(), "GIF", save_all=True, append_images=[noise(seed=1), noise(seed=2)])
    assert fault_of(io.BytesIO(data[:-2000])) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_check_and_the_decoder_agree_on_files_cut_short(kind: str, share: float) -> None:
    data = with_thumbnail(stored(noise(), kind)) if kind == "JPEG" else stored(noise(), kind)
    cut = data[: int(len(data) * share)]
    with pytest.raises(UserError):
        decode_image(io.BytesIO(cut), "x")
    assert fault_of(io.BytesIO(cut)) is not None


def test_only_the_head_and_the_end_of_a_large_file_are_read() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Counting.count += len(data)
            return data

    data = stored(noise(1000), "JPEG", quality=95)
    assert fault_of(Counting(data)) is None
    assert Counting.count < len(data) / 20


def test_damage_between_a_whole_head_and_a_whole_end_is_told_by_decoding() -> None:
    jpeg = bytearray(stored(noise(), "JPEG"))
    tables = jpeg.index(b"\xff\xc4") + 4
    jpeg[tables : tables + 40] = b"\xfe" * 40
    assert look_at(io.BytesIO(jpeg)).fault is None
    assert look_at(io.BytesIO(jpeg), whole=True).fault == "broken data stream when reading image file"
    assert look_at(io.BytesIO(stored(noise(), "JPEG")), whole=True) == look_at(io.BytesIO(stored(noise(), "JPEG")))
