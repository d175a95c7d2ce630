"""Pictures of which nothing but a place tells the class: a bright dot on noise, drawn here."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.digits import ArraySource
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["QUARTERS", "open_dots"]

QUARTERS = ("top left", "top right", "bottom left", "bottom right")

PER_QUARTER = 250
QUARTER, DOT = 32, 3  # sides in pixels
NOISE, INK = 96, 255  # brightest grey of the background, and that of the dot
SEED = 0  # of the drawing; not the run's, so that the data is one and the same


@cache
def open_dots() -> ArraySource:
    """Return 4 x 250 grey pictures of 64 x 64 pixels, each with a dot of 3 x 3 that lies in one quarter.

    After the classification of coordinates in Liu et al. (2018), "An intriguing failing of convolutional neural
    networks and the CoordConv solution", section 4, with four quarters in the place of 64 x 64 places.
    """
    labels = np.repeat(np.arange(len(QUARTERS)), PER_QUARTER)
    images = [_picture(int(quarter), number) for number, quarter in enumerate(labels)]
    paths = [f"dots/{number:03d}.png" for number in range(len(labels))]
    return ArraySource(np.stack(images), labels.astype(np.int64), QUARTERS, paths)


def _picture(quarter: int, number: int) -> NDArray[np.uint8]:
    """Draw noise, and a dot anywhere in a quarter."""
    draw = numpy_generator_for("dots", number, seed=SEED)
    image = draw.integers(0, NOISE, (2 * QUARTER, 2 * QUARTER), endpoint=True).astype(np.uint8)
    lower, right = divmod(quarter, 2)
    inside = draw.integers(QUARTER - DOT, size=2, endpoint=True)
    top, left = QUARTER * lower + int(inside[0]), QUARTER * right + int(inside[1])
    image[top : top + DOT, left : left + DOT] = INK
    return image
