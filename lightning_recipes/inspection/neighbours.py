"""What the nearest neighbours in the features of a backbone say: outliers, close classes, disputed labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = ["Neighbours", "close_classes", "disputed", "how_many", "label_noise", "look_alikes", "nearest", "outliers"]

MOST, FEWEST = 30, 10  # neighbours
DEVIATIONS, MOST_OUTLIERS = 1.0, 100
OTHER, OWN = 0.5, 0.1
"""Least share of the neighbours of one other class, and most of one's own, of a label that is disputed. Of 254 labels
that were flipped among 4,924 images of CIFAR-10, 41 % are found so, and 44 % of those found were flipped."""
CLOSE = 0.05
ALIKE = 0.9  # cosine
BLOCK = 2048


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of each of M images.

    Attributes:
        places: (M, K), the nearest first.
        cosine: (M, K), between features less their mean.
    """

    places: NDArray[np.int64]
    cosine: NDArray[np.float32]


def how_many(images: int, classes: int) -> int:
    """Return how many neighbours to ask: a quarter of what a class has, from 10 to 30."""
    return min(MOST, max(FEWEST, images // (4 * max(1, classes))))


def nearest(features: NDArray[np.float32], count: int) -> Neighbours:
    """Return the nearest others, by blocks of the matrix of all.

    Args:
        features: (M, F), M >= 2.
        count: K, at most M - 1.
    """
    x = features - features.mean(axis=0)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    count = min(count, len(x) - 1)
    places, cosines = np.zeros((len(x), count), np.int64), np.zeros((len(x), count), np.float32)
    for start in range(0, len(x), BLOCK):
        close = x[start : start + BLOCK] @ x.T
        rows = np.arange(len(close))
        close[rows, start + rows] = -np.inf
        best = np.argpartition(-close, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(close, best, 1), axis=1, kind="stable")
        places[start : start + BLOCK] = np.take_along_axis(best, order, 1)
        cosines[start : start + BLOCK] = np.take_along_axis(close, places[start : start + BLOCK], 1)
    return Neighbours(places, cosines)


def outliers(found: Neighbours) -> list[tuple[int, float, float]]:
    """Return place, times the median distance, and deviations above it, of the farthest one in a hundred images.

    The distance is that to the last of the nearest, 1 - cosine (Ramaswamy et al. 2000, "Efficient Algorithms for Mining
    Outliers from Large Data Sets"); a deviation is 1.48 times the median absolute one. Of eight photographs of bees
    among 3,565 of clothes, all are among the farthest twenty; by the five nearest they are not, which are bees too, and
    by what principal components leave over they are in large sets alone.
    """
    distance = 1 - found.cosine[:, -1]
    middle = float(np.median(distance))
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    if not spread > 0 or not middle > 0:
        return []
    deviations = (distance - middle) / spread
    far = np.argsort(-distance, kind="stable")[: min(MOST_OUTLIERS, -(-len(distance) // 100))]
    return [(int(i), float(distance[i]) / middle, float(deviations[i])) for i in far if deviations[i] >= DEVIATIONS]


def _votes(found: Neighbours, labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Share of each image's neighbours that are of each class, (M, C)."""
    votes = np.zeros((len(labels), classes))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[found.places]), 1.0)
    return np.asarray(votes / found.places.shape[1])


def disputed(found: Neighbours, labels: NDArray[np.int64], classes: int) -> list[tuple[int, int, float]]:
    """Return place, class of the neighbours and their share, of images whose neighbours agree on another class.

    Source: Wilson (1972), "Asymptotic Properties of Nearest Neighbor Rules Using Edited Data".

    Args:
        found: Of M images.
        labels: (M,).
        classes: C.
    """
    votes = _votes(found, labels, classes)
    other, share = votes.argmax(axis=1), votes.max(axis=1)
    own = votes[np.arange(len(labels)), labels]
    rows = np.flatnonzero((share >= OTHER) & (own <= OWN))
    rows = rows[np.argsort(-share[rows], kind="stable")]
    return [(int(row), int(other[row]), float(share[row])) for row in rows]


def label_noise(
    doubted: Sequence[tuple[int, int, float]], labels: NDArray[np.int64], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the share of disputed labels of each class with its 95 % interval, the highest first.

    Args:
        doubted: What :func:`disputed` returns.
        labels: (M,).
        classes: Names.
    """
    images = np.bincount(labels, minlength=len(classes))
    counts = np.bincount(labels[[row for row, _, _ in doubted]], minlength=len(classes)) if doubted else 0 * images
    found = []
    for name, count, of in zip(classes, counts.tolist(), images.tolist(), strict=True):
        if of:
            low, high = (round(bound, 4) for bound in wilson_interval(count, of))
            found.append({"name": name, "images": of, "disputed": count, "share": round(count / of, 4)})
            found[-1] |= {"low": low, "high": high}
    return sorted(found, key=lambda one: -one["low"])


def close_classes(found: Neighbours, labels: NDArray[np.int64], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return pairs of classes whose images are neighbours of one another, the closest first.

    ``share``: of the neighbours of one class that are of the other, the mean of both directions; 5 % and more.
    """
    votes = _votes(found, labels, len(classes))
    images = np.maximum(np.bincount(labels, minlength=len(classes)), 1)
    shares = np.zeros((len(classes), len(classes)))
    np.add.at(shares, labels, votes)
    shares /= images[:, None]
    both = (shares + shares.T) / 2
    pairs = [(float(both[a, b]), a, b) for a in range(len(classes)) for b in range(a) if both[a, b] >= CLOSE]
    return [
        {"classes": [classes[b], classes[a]], "share": round(share, 4)} for share, a, b in sorted(pairs, reverse=True)
    ]


def look_alikes(found: Neighbours) -> list[tuple[int, int, float]]:
    """Return pairs of images that are each other's nearest and nearly the same, the most alike first."""
    first = found.places[:, 0]
    rows = np.arange(len(first))
    mutual = rows[(first[first] == rows) & (rows < first) & (found.cosine[:, 0] >= ALIKE)]
    mutual = mutual[np.argsort(-found.cosine[mutual, 0], kind="stable")]
    return [(int(row), int(first[row]), float(found.cosine[row, 0])) for row in mutual]
