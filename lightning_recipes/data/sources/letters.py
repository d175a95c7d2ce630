"""Letters drawn with the fonts that matplotlib ships, scaled like scikit-learn's digit scans; no digit is among them.

A backbone that is pretrained on them has learnt strokes and has seen no digit: real transfer on a machine without
network.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lightning_recipes.data.sources.digits import ArraySource
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["LETTERS", "open_letters"]

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ" + "abdefghjkmnpqrty"
"""Forty letters; without O, I and l, which look like digits, and without small ones that look like their capitals."""

PER_LETTER = 120
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
CANVAS, SCAN, BLOCK = 96, 32, 4
CELLS, BEND = 6, 2.5  # cells a side of the grid that bends the strokes; standard deviation of its corners in pixels
SEED = 0  # of the drawing; not the run's, so that the data is one and the same


@cache
def open_letters() -> ArraySource:
    """Return 40 x 120 letters of 8 x 8 pixels.

    As in the digits' own making (Alpaydin and Kaynak, 1998), a glyph is cropped to its ink, brought to 32 x 32 black
    and white, and each 4 x 4 block becomes one pixel by counting its ink.
    """
    fonts = _fonts()
    images = [_scan(letter, number, fonts) for letter in LETTERS for number in range(PER_LETTER)]
    labels = np.repeat(np.arange(len(LETTERS)), PER_LETTER)
    paths = [f"letters/{letter}/{number:03d}.png" for letter in LETTERS for number in range(PER_LETTER)]
    return ArraySource(np.stack(images), labels.astype(np.int64), tuple(LETTERS), paths)


def _fonts() -> list[ImageFont.FreeTypeFont]:
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = sorted(
        f
        for f in folder.glob("*.ttf")
        if f.stem.split("-")[0].removesuffix("Display") in FONTS or f.stem.startswith("STIXGeneral")
    )
    return [ImageFont.truetype(str(f), 48) for f in files if "Display" not in f.stem]


def _scan(letter: str, number: int, fonts: list[ImageFont.FreeTypeFont]) -> NDArray[np.uint8]:
    """Draw one letter with a font, slant, turn and stroke of its own."""
    draw = numpy_generator_for("letters", letter, number, seed=SEED)
    image = Image.new("L", (CANVAS, CANVAS))
    font = fonts[int(draw.integers(len(fonts)))]
    stroke = int(draw.integers(0, 3))
    ImageDraw.Draw(image).text((CANVAS / 2, CANVAS / 2), letter, fill=255, font=font, anchor="mm", stroke_width=stroke)
    slant, squeeze, turn = draw.uniform(-0.3, 0.3), draw.uniform(0.8, 1.25), draw.uniform(-12, 12)
    shear = (squeeze, slant, CANVAS / 2 * (1 - squeeze - slant), 0, 1, 0)
    image = image.transform(image.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    image = _warp(image.rotate(turn, Image.Resampling.BILINEAR), draw)
    image = image.crop(image.getbbox())
    width = max(1, min(SCAN, round(SCAN * image.width / image.height * 0.9)))
    image = image.resize((width, SCAN), Image.Resampling.BILINEAR)
    scan = np.zeros((SCAN, SCAN), dtype=np.uint8)
    left = (SCAN - width) // 2
    scan[:, left : left + width] = np.asarray(image) > 100
    counts = scan.reshape(SCAN // BLOCK, BLOCK, SCAN // BLOCK, BLOCK).sum(axis=(1, 3))
    pixels: NDArray[np.uint8] = np.round(counts * (255 / BLOCK**2)).astype(np.uint8)
    return pixels


def _warp(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Bend the strokes as a hand does: the corners of a coarse grid move, and the image with them."""
    step = CANVAS // CELLS
    moved = draw.normal(0, BEND, size=(CELLS + 1, CELLS + 1, 2))
    corner = moved + np.stack(np.meshgrid(*[np.arange(CELLS + 1) * step] * 2), axis=-1)
    mesh = []
    for row in range(CELLS):
        for column in range(CELLS):
            box = (column * step, row * step, (column + 1) * step, (row + 1) * step)
            quad = [corner[row + down, column + right] for down, right in ((0, 0), (1, 0), (1, 1), (0, 1))]
            mesh.append((box, tuple(float(v) for point in quad for v in point)))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
