"""Pictures of more than 8 bits a channel: what is in the file is what the network sees, whoever reads it."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.images.decode import decode_image
from lightning_recipes.data.pictures import images_of
from lightning_recipes.data.sources.open import open_splits
from lightning_recipes.input_config import InputConfig

PLAIN = InputConfig(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def ramp(bits: int, channels: int = 1) -> NDArray[np.uint16]:
    """Every level that a camera of so many bits has, from black to white, in 16 x 16 pixels."""
    levels = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16).reshape(16, 16)
    return levels if channels == 1 else np.dstack([levels, levels[::-1], levels.T])


def png(values: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel, as OpenCV writes it; colours are given as red, green, blue."""
    written, data = cv2.imencode(".png", values if values.ndim == 2 else np.ascontiguousarray(values[..., ::-1]))
    assert written
    return data.tobytes()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_fewer_bits_keeps_its_levels(bits: int, channels: int) -> None:
    values = ramp(bits, channels)
    decoded = decode_image(io.BytesIO(png(values)), "x")
    expected = (values / (2**bits - 1) * 255).round().astype(np.uint8)
    assert np.array_equal(decoded, expected if channels == 3 else np.dstack([expected] * 3))
    assert len(np.unique(decoded)) == 256


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [3000, 4095])
def test_the_brightness_of_a_picture_is_not_its_own_but_of_its_bits(most: int, channels: int) -> None:
    values = np.minimum(ramp(12, channels), most)
    decoded = decode_image(io.BytesIO(png(values)), "x")
    assert decoded.max() == round(most / 4095 * 255)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_prediction_sees_what_training_saw(tmp_path: Path, bits: int, channels: int) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(png(ramp(bits, channels)))
    with path.open("rb") as file:
        trained_on = decode_image(file, "x")
    with Image.open(path) as picture:
        seen = images_of([trained_on, str(path), picture], PLAIN)
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])
    assert seen.max() > 0.9


def test_alpha_and_the_lower_bits_of_colour_are_kept_both() -> None:
    colours = np.full((4, 4, 3), 2048, np.uint16)
    alpha = np.full((4, 4), 65535, np.uint16)
    alpha[0] = 0
    written = np.dstack([alpha, colours])  # reversed: blue, green, red, alpha
    decoded = decode_image(io.BytesIO(png(written)), "x")
    assert decoded[0].min() == 255  # laid on white
    assert decoded[1:].tolist() == np.full((3, 4, 3), 128).tolist()


def deep_folder(root: Path, bits: int, channels: int = 1) -> str:
    for name in ("cells", "none"):
        (root / name).mkdir(parents=True)
        for number in range(5):
            (root / name / f"{number}.png").write_bytes(png(ramp(bits, channels)))
    return str(root)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_pictures_are_taken_for_is_said_once_for_all(tmp_path: Path, channels: int) -> None:
    with pytest.warns(UserWarning, match="10 pictures have more than 8 bits a channel") as said:
        splits = open_splits(deep_folder(tmp_path, 12, channels)).splits
    assert len(said) == 1
    assert "10 hold values of 12 bits, such as 'cells/0.png'" in str(said[0].message)
    assert len(np.unique(splits.train.read(0))) == 256


def test_pictures_that_use_their_16_bits_are_nothing_to_speak_of(tmp_path: Path) -> None:
    assert len(open_splits(deep_folder(tmp_path, 16)).splits.train) == 8  # a warning would be an error here


def test_a_very_large_picture_is_named_once_and_not_decoded(tmp_path: Path) -> None:
    for name in ("ants", "bees"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "ants" / "panorama.png")
    Image.new("1", (20_000, 6_000)).save(tmp_path / "ants" / "strip.png")
    with pytest.warns(UserWarning, match=r"2 pictures are very large, such as 'ants/panorama.png' of 20000 x 10000 p"):
        assert len(open_splits(str(tmp_path)).splits.train) == 10
