"""The embedded digits: 1,797 real 8 x 8 scans that scikit-learn ships, for machines without data or network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArraySource", "open_digits"]

INK = 16
"""Brightest value of scikit-learn's scans."""


@dataclass(frozen=True)
class ArraySource:
    """Labelled grey images in memory; a source.

    Attributes:
        images: (N, H, W), uint8.
        labels: (N,), int64.
        classes: Names of the classes.
        paths: One name an image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    paths: Sequence[str]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as RGB, (H, W, 3)."""
        return np.repeat(self.images[index][..., None], 3, axis=2)


def open_digits() -> ArraySource:
    """Return scikit-learn's digits, grey levels 0 to 16 brought to 0 to 255.

    Source: Alpaydin and Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / INK)).astype(np.uint8)
    paths = [f"digits/{number:04d}.png" for number in range(len(images))]
    return ArraySource(images, bunch.target.astype(np.int64), tuple("0123456789"), paths)
