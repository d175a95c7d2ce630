"""Images of other channels than three, against the arrays that they were made of."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.sources.faults import look_at
from lightning_recipes.errors import UserError


def array(values: NDArray[Any]) -> io.BytesIO:
    file = io.BytesIO()
    np.save(file, values)
    file.seek(0)
    return file


def tiff(values: NDArray[Any], **options: Any) -> io.BytesIO:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", **options)
    file.seek(0)
    return file


def stored(image: Image.Image, kind: str = "PNG") -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind)
    file.seek(0)
    return file


def bands(channels: int = 5, dtype: Any = np.uint8, most: int = 255) -> NDArray[Any]:
    values = np.random.default_rng(0).integers(0, most, (20, 30, channels), endpoint=True)
    values[0, 0] = most
    return values.astype(dtype)


@pytest.mark.parametrize("channels", [2, 4, 5, 13])
def test_bands_of_arrays_and_tiffs_are_as_they_were_stored(channels: int) -> None:
    values = bands(channels)
    files = [
        array(values),
        tiff(values, planarconfig="contig"),
        tiff(values, planarconfig="contig", compression="zlib"),
    ]
    files += [array(values.transpose(2, 0, 1)), tiff(values.transpose(2, 0, 1), planarconfig="separate")]
    for file in files:
        assert look_at(file, channels=channels) == (None, (30, 20), False)
        file.seek(0)
        np.testing.assert_array_equal(decode_image(file, "x", channels=channels), values)


def test_all_bands_are_scaled_by_one_range() -> None:
    values = bands(4, np.uint16, 3000)
    values[..., 3] //= 100
    expected = np.round(values / 4095 * 255)  # 3,000 is of 12 bits
    np.testing.assert_array_equal(decode_image(array(values), "x", channels=4), expected)
    np.testing.assert_array_equal(decode_image(tiff(values), "x", channels=4), expected)


def test_floats_are_of_0_to_1_and_what_is_missing_is_black() -> None:
    values = np.full((4, 4, 2), 0.5, np.float32)
    values[0, 0, 0] = np.nan
    decoded = decode_image(array(values), "x", channels=2)
    assert (decoded[0, 0].tolist(), decoded[1, 1].tolist()) == ([0, 128], [128, 128])
    assert decode_image(array(np.eye(4, dtype=bool)), "x", channels=1)[..., 0].tolist() == (np.eye(4) * 255).tolist()


def test_one_channel_is_the_luminance_and_four_are_red_green_blue_and_alpha() -> None:
    image = Image.fromarray(bands(4))
    np.testing.assert_array_equal(decode_image(stored(image), "x", channels=4), np.asarray(image))
    rgb = image.convert("RGB")
    np.testing.assert_array_equal(decode_image(stored(rgb), "x", channels=1)[..., 0], np.asarray(rgb.convert("L")))
    grey = Image.fromarray(bands(1)[..., 0])
    np.testing.assert_array_equal(decode_image(stored(grey), "x", channels=1)[..., 0], np.asarray(grey))


def test_an_array_of_three_is_red_green_and_blue() -> None:
    np.testing.assert_array_equal(decode_image(array(bands(3)), "x"), bands(3))


@pytest.mark.parametrize(
    ("file", "channels", "text"),
    [
        (array(bands(5)), 3, "5 channels, where data.channels says 3"),
        (tiff(bands(6)), 5, "6 channels, where data.channels says 5"),
        (stored(Image.fromarray(bands(3))), 4, "3 channels, where data.channels says 4"),
        (array(np.zeros(512, np.float32)), 5, "an array of shape 512, which is no image of 5 channels"),
        (array(np.full((4, 4, 5), "a")), 5, "values of <U1, which are no brightness"),
        (array(np.full((4, 4, 5), None)), 5, "values of object, which are no brightness"),
        (tiff(bands(6), planarconfig="contig"), 3, "6 channels, where data.channels says 3"),
        (tiff(bands(5).astype(np.complex64), planarconfig="contig"), 5, "values of complex64, which are no brightness"),
        (io.BytesIO(tiff(bands(5), planarconfig="contig").getvalue()[:2000]), 5, "cut short"),
        (array(np.zeros((0, 30, 5), np.uint8)), 5, "an array of shape 0x30x5, which is empty"),
        (io.BytesIO(b"II*\0\x08\0\0\0"), 5, "a TIFF that tifffile does not read"),
        (array(np.zeros((8, 9), np.uint8)), 3, "1 channel, where data.channels says 3"),
        (io.BytesIO(array(bands(5)).getvalue()[:-9]), 5, "cut short"),
        (io.BytesIO(b"\x93NUMPY\x01"), 5, ""),
    ],
)
def test_what_is_no_such_image_is_said_in_a_line(file: io.BytesIO, channels: int, text: str) -> None:
    found = look_at(file, channels=channels, whole=True)
    assert found.fault is not None
    assert text in found.fault
    file.seek(0)
    with pytest.raises(UserError, match=r"\Aname: cannot be decoded \(") as error:
        decode_image(file, "name", channels=channels)
    assert "\n" not in str(error.value)


def test_three_bands_of_more_bits_are_read_and_four_of_a_png_have_one_range() -> None:
    deep = bands(3, np.uint16, 3000)
    expected = np.round(deep / 4095 * 255)
    np.testing.assert_array_equal(decode_image(tiff(deep, planarconfig="contig"), "x"), expected)
    four = bands(4, np.uint16, 3000)
    four[..., 3] //= 100
    import cv2

    png = io.BytesIO(cv2.imencode(".png", four[..., [2, 1, 0, 3]])[1].tobytes())
    np.testing.assert_array_equal(decode_image(png, "x", channels=4), np.round(four / 4095 * 255))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_its_tag_says_and_as_pillow_turns_it(orientation: int) -> None:
    values = bands(4)
    tag = [(274, "H", 1, orientation, True)]
    file = tiff(values, planarconfig="contig", extratags=tag)
    turned = ImageOps.exif_transpose(_with_orientation(Image.fromarray(values), orientation))
    np.testing.assert_array_equal(decode_image(file, "x", channels=4), np.asarray(turned))


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[274] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    file.seek(0)
    return Image.open(file)


def test_bands_without_the_package_that_reads_them_are_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    file = tiff(bands(5))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert look_at(file, channels=5).fault == "a TIFF of several bands, which the package tifffile reads"
