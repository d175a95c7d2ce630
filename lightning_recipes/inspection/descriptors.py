"""A perceptual hash that keeps its values: low frequencies of a small grey picture, and those of its crops.

As pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions") it is the corner of a
discrete cosine transform, but its numbers are kept instead of their signs, weighted by their frequency: pictures of the
world have amplitudes of about 1 / f (Field 1987), so that every number then tells as much as another. Two pictures are
compared by the cosine between theirs. Measured on CIFAR-10, pictures cropped by 12 % against the whole ones, at one
false pair in 100,000: the signs of 63 numbers find 10 %, the numbers 29 %, and those of nine crops of the whole all.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.measure import SIDE

__all__ = ["Crop", "describe", "mirrored"]

Crop = tuple[float, float, float]
"""Side as a share of the picture's, and where its top and left lie, from 0 to 1 of what is left over."""
FINE = 8  # places a pixel at which a crop is sampled


def describe(grey: NDArray[np.uint8], frequencies: int, crop: Crop = (1.0, 0.0, 0.0)) -> NDArray[np.float32]:
    """Return descriptors (N, frequencies²) of unit length; of a plain picture zeros.

    Args:
        grey: (N, SIDE, SIDE).
        frequencies: How many of each direction, the lowest first.
        crop: What of the pictures is described, as if it had been cut out and enlarged.
    """
    side, top, left = crop
    rows, columns = _transform(frequencies, side, top), _transform(frequencies, side, left)
    found = np.einsum("fy,nyx,gx->nfg", rows, grey.astype(np.float32), columns, optimize=True)
    found = np.asarray(found * _weights(frequencies)).reshape(len(grey), frequencies**2)
    return _unit(found)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths <= SIDE] = np.inf  # of a picture that is plain but for a level or so of 255
    return np.asarray(vectors / lengths)


def mirrored(descriptors: NDArray[np.float32], frequencies: int) -> NDArray[np.float32]:
    """Return the descriptors of the mirror images: odd horizontal frequencies change their sign."""
    signs = np.tile((-1.0) ** np.arange(frequencies), frequencies).astype(np.float32)
    return descriptors * signs


@cache
def _weights(frequencies: int) -> NDArray[np.float32]:
    f = np.arange(frequencies)
    return np.hypot(f[:, None], f[None]).astype(np.float32)  # 0 for the mean, which brightness changes


@cache
def _transform(frequencies: int, side: float, place: float) -> NDArray[np.float32]:
    """Return the matrix (frequencies, SIDE) that cuts out, enlarges and transforms one direction."""
    from scipy.fft import dct

    length = SIDE * side
    start = place * (SIDE - length)
    at = start + length * (np.arange(SIDE * FINE) + 0.5) / (SIDE * FINE) - 0.5
    below = np.floor(at).astype(int)
    part = at - below
    sampled = np.zeros((SIDE * FINE, SIDE))
    rows = np.arange(SIDE * FINE)
    np.add.at(sampled, (rows, below.clip(0, SIDE - 1)), 1 - part)
    np.add.at(sampled, (rows, (below + 1).clip(0, SIDE - 1)), part)
    resized = sampled.reshape(SIDE, FINE, SIDE).mean(axis=1)
    return np.asarray(dct(resized, axis=0, norm="ortho")[:frequencies], np.float32)
