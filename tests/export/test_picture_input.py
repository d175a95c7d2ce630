"""Sizes, crops and filters of the graph against those of evaluation, whose pixels are Pillow's or PyTorch's."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.transforms.image_transforms import eval_transform
from lightning_recipes.export.picture_input import PictureInput
from lightning_recipes.input_config import Fit, InputConfig

GIVEN = InputConfig(32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop_pct=0.875)
SIZES = [(32, 32), (36, 36), (37, 37), (36, 90), (300, 20), (33, 34), (200, 199), (90, 135), (8, 11), (64, 64)]


def smooth(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of soft blots: a filter that is off by a pixel shows, and rounding alone does not add up."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def differing(given: InputConfig, sizes: list[tuple[int, int]]) -> tuple[float, float]:
    """The largest difference of a level, of 255, and the share of levels that differ."""
    graph, transform, gaps = PictureInput(given), eval_transform(given), []
    for number, (height, width) in enumerate(sizes):
        picture = smooth(height, width, number)
        levels = graph.levels(torch.from_numpy(picture)[None])[0]
        gaps.append((levels - transform.pixels(picture, 0).float()).abs().flatten())
    gap = torch.cat(gaps)
    return float(gap.max()), float((gap > 0).double().mean())


@pytest.mark.parametrize(("fit", "interpolation"), list(product(("crop", "pad", "squish"), ("bilinear", "bicubic"))))
def test_pixels_are_those_of_evaluation_to_the_bit(fit: Fit, interpolation: str) -> None:
    """But for sums that end within a rounding of a half."""
    largest, share = differing(replace(GIVEN, fit=fit, interpolation=interpolation), SIZES)
    assert largest <= 1
    assert share < 5e-4


@pytest.mark.parametrize(("fit", "interpolation"), list(product(("crop", "pad", "squish"), ("bilinear", "lanczos"))))
def test_pixels_are_those_of_pillow_but_for_the_order_of_its_passes(fit: Fit, interpolation: str) -> None:
    """Which Pillow 13 chooses by the proportions of the picture; of square ones it is the same."""
    given = replace(GIVEN, fit=fit, interpolation=interpolation, image_backend="pillow")
    assert differing(given, [size for size in SIZES if size[0] == size[1]]) == (0.0, 0.0)
    largest, share = differing(given, SIZES)
    assert largest <= 3
    assert share < 0.06


def test_inputs_are_normalised_as_those_of_evaluation() -> None:
    picture = smooth(90, 135)
    assert torch.equal(PictureInput(GIVEN)(torch.from_numpy(picture)[None])[0], eval_transform(GIVEN)(picture))


def test_nearest_takes_whole_pixels() -> None:
    given = replace(GIVEN, interpolation="nearest", fit="squish")
    picture = smooth(96, 64)
    levels = PictureInput(given).levels(torch.from_numpy(picture)[None])[0]
    assert torch.equal(levels, torch.from_numpy(picture[1::3, 1::2].copy()).permute(2, 0, 1).float())


def test_several_pictures_are_as_each_alone_and_of_any_number_of_channels() -> None:
    given = replace(GIVEN, mean=(0.1, 0.2, 0.3, 0.4, 0.5), std=(0.5,) * 5)
    pictures = torch.randint(0, 256, (3, 40, 50, 5), dtype=torch.uint8)
    graph = PictureInput(given)
    together = graph(pictures)
    assert together.shape == (3, 5, 32, 32)
    assert torch.equal(together[1], graph(pictures[1:2])[0])
