"""Whether two pictures look the same, by twice as many frequencies and all crops near the one that was found."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.candidates import VIEWS, Candidates
from lightning_recipes.inspection.descriptors import Crop, describe, mirrored
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["Verified", "least_correlation", "verify"]

FREQUENCIES = 16
LEAST_CORRELATION, HIGHEST = 0.85, 0.98
SIDES = (-0.06, -0.03, 0.0, 0.03, 0.06)
SHIFTS = (-0.17, 0.0, 0.17)
BLOCK = 4096
MIDDLE, LEAST_IN_MIDDLE = 0.7, 0.7
"""Side of the middle of a picture, which has to agree too: frames are alike, whatever is in them."""
PAIRS = 1000  # drawn at random, to see how alike the pictures of a set are that are not the same
DEVIATIONS = 6.0
COLOUR_LEVELS = 24.0
"""Of 255 that the mean colours of two pictures of the same may differ by, brightness apart."""
CROPPED = 0.985  # side below which a picture counts as cropped


@dataclass(frozen=True)
class Verified:
    """Pairs of pictures of the same.

    Attributes:
        pairs: (K, 2), places; of a crop the whole picture comes first.
        correlation: (K,), over 16 x 16 frequencies.
        mirrored: (K,).
        crop: (K, 3), what of the whole picture the other shows; a side of 1 is all of it.
        complete: False where there were so many that the least alike were left out.
    """

    pairs: NDArray[np.int64]
    correlation: NDArray[np.float32]
    mirrored: NDArray[np.bool_]
    crop: NDArray[np.float32]
    complete: bool = True

    def rows(self, kept: NDArray[np.int64]) -> "Verified":
        """Return some of the pairs."""
        return Verified(
            self.pairs[kept], self.correlation[kept], self.mirrored[kept], self.crop[kept], complete=self.complete
        )

    def kind(self, row: int) -> str:
        """Say what was done to one of a pair."""
        words = ["mirrored"] * bool(self.mirrored[row]) + ["cropped"] * bool(self.crop[row, 0] < CROPPED)
        return " and ".join(words) or "same"


def verify(grey: NDArray[np.uint8], colour: NDArray[np.uint8], candidates: Candidates) -> Verified:
    """Return the candidates that show the same.

    Args:
        grey: (N, SIDE, SIDE).
        colour: (N, COLOUR, COLOUR, 3).
        candidates: Places in them.
    """
    count = len(candidates)
    correlation, middle, crop = np.full(count, -1.0, np.float32), np.full(count, -1.0, np.float32), np.ones((count, 3))
    for number, view in enumerate(VIEWS):
        for flip in (False, True):
            rows = np.flatnonzero((candidates.view == number) & (candidates.mirrored == flip))
            for start in range(0, len(rows), BLOCK):
                some = rows[start : start + BLOCK]
                whole, part = grey[candidates.first[some]], grey[candidates.second[some]]
                correlation[some], middle[some], crop[some] = _best(whole, part, view, flip=flip)
    alike = _alike_in_colour(colour, candidates.first, candidates.second)
    kept = np.flatnonzero((correlation >= least_correlation(grey)) & (middle >= LEAST_IN_MIDDLE) & alike)
    pairs = np.stack([candidates.first[kept], candidates.second[kept]], axis=1)
    return Verified(pairs, correlation[kept], candidates.mirrored[kept], crop[kept].astype(np.float32))


def least_correlation(grey: NDArray[np.uint8]) -> float:
    """Return how alike two pictures of this set have to be: more than different ones are, by six deviations.

    0.85, but of sets whose pictures are all alike, such as X-rays or digits, more, up to 0.98.

    Args:
        grey: (N, SIDE, SIDE).
    """
    if len(grey) < 2:
        return LEAST_CORRELATION
    drawn = numpy_generator_for("inspection pairs", seed=0).integers(0, len(grey), (PAIRS, 2))
    first, second = drawn[drawn[:, 0] != drawn[:, 1]].T
    cosines = (describe(grey[first], FREQUENCIES) * describe(grey[second], FREQUENCIES)).sum(axis=1)
    middle, spread = np.median(cosines), 1.4826 * np.median(np.abs(cosines - np.median(cosines)))
    return float(np.clip(middle + DEVIATIONS * spread, LEAST_CORRELATION, HIGHEST))


def _best(
    whole: NDArray[np.uint8], part: NDArray[np.uint8], view: Crop, *, flip: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return the highest correlation of pairs over crops of the first, that of their middles, and that crop."""
    sought, inside = describe(part, FREQUENCIES), describe(part, FREQUENCIES, _middle((1.0, 0.0, 0.0)))
    if flip:
        sought, inside = mirrored(sought, FREQUENCIES), mirrored(inside, FREQUENCIES)
    best, middle = (np.full(len(whole), -1.0, np.float32) for _ in range(2))
    found = np.ones((len(whole), 3))
    for crop in _crops(view):
        correlation = (describe(whole, FREQUENCIES, crop) * sought).sum(axis=1)
        better = np.flatnonzero(correlation > best)
        best[better], found[better] = correlation[better], crop
        middle[better] = (describe(whole[better], FREQUENCIES, _middle(crop)) * inside[better]).sum(axis=1)
    return best, middle, found


def _middle(crop: Crop) -> Crop:
    """The middle of a crop, as a crop of the whole."""
    side, *places = crop
    inner = MIDDLE * side
    top, left = ((place * (1 - side) + (side - inner) / 2) / (1 - inner) for place in places)
    return round(inner, 4), round(top, 4), round(left, 4)


def _crops(view: Crop) -> list[Crop]:
    """Crops near a view; the view itself, or what is whole, first."""
    side, top, left = view
    if side == 1.0:
        near = list(product((0.97, 0.94), (0.0, 0.5, 1.0), (0.0, 0.5, 1.0)))
    else:
        near = [(side + s, top + t, left + u) for s, t, u in product(SIDES, SHIFTS, SHIFTS)]
    clipped = np.round(np.clip(near, 0.0, 1.0), 3).tolist()
    rounded = [(s, t, u) for s, t, u in clipped]
    return list(dict.fromkeys([view, *rounded]))


def _alike_in_colour(
    colour: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    means = colour.mean(axis=(1, 2))
    tints = means - means.mean(axis=1, keepdims=True)
    return np.asarray(np.abs(tints[first] - tints[second]).max(axis=1) <= COLOUR_LEVELS)
