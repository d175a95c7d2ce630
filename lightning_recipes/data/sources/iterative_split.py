"""A split that keeps the share of every class where an image may have several."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["iterative_split"]


def iterative_split(
    labels: NDArray[np.uint8], fraction: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of two parts, the second of them ``fraction`` of all images and of each class's.

    The class with the fewest images left goes first: each of its images goes where most of the class are still wanted;
    of equal ones, where most images are; of equal ones, by lot.

    Source: Sechidis et al. (2011), "On the Stratification of Multi-Label Data", algorithm 1.

    Args:
        labels: (N, C) of 0 and 1.
        fraction: In (0, 1).
        generator: Consumed by one permutation and the lots.
    """
    order = generator.permutation(len(labels))
    shares = np.array([1 - fraction, fraction])
    wanted, of_class = shares * len(labels), np.outer(labels.sum(axis=0), shares)
    part, left = np.full(len(labels), -1), labels.sum(axis=0).astype(np.int64)
    while left.any():
        rarest = int(np.where(left > 0, left, left.max() + 1).argmin())
        for image in order[(labels[order, rarest] > 0) & (part[order] < 0)]:
            side = _side(of_class[rarest], wanted, generator)
            part[image], classes = side, labels[image] > 0
            of_class[classes, side] -= 1
            left[classes] -= 1
            wanted[side] -= 1
    for image in order[part[order] < 0]:  # those without a label
        side = int(wanted.argmax())
        part[image] = side
        wanted[side] -= 1
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1)


def _side(of_class: NDArray[np.float64], wanted: NDArray[np.float64], generator: np.random.Generator) -> int:
    for amounts in (of_class, wanted):
        if amounts[0] != amounts[1]:
            return int(amounts.argmax())
    return int(generator.integers(2))
