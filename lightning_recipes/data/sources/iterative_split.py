"""A split that keeps the share of every class where an image may have several."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["every_class_on_both_sides", "iterative_split"]


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


def every_class_on_both_sides(
    labels: NDArray[np.uint8], train: NDArray[np.int64], val: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two parts with the least moved that gives each class of two images or more one in both.

    Of small sets with many labels the split above leaves out classes that have enough. A class that has one image alone
    stays in training. An image is moved only where it takes no class's last image away.

    Args:
        labels: (N, C) of 0 and 1.
        train: Positions of the first part.
        val: Of the second.
    """
    parts = [train, val]
    for to, other in ((0, 1), (1, 0)):  # training first: without it a class cannot be learnt
        for label in np.argsort(labels.sum(axis=0), kind="stable"):
            if labels[parts[to], label].any():
                continue
            counts = labels[parts[other]].sum(axis=0)
            with_it = parts[other][labels[parts[other], label] > 0]
            needed = counts == 1  # classes that would be gone from there
            if to == 0:
                needed[label] = False
            free = [image for image in with_it if not (labels[image].astype(bool) & needed).any()]
            if free:
                few = min(free, key=lambda image: int(labels[image].sum()))
                parts[to] = np.sort(np.append(parts[to], few))
                parts[other] = parts[other][parts[other] != few]
    return parts[0], parts[1]
