"""Pairs of pictures that may be nearly the same, among all pairs, without looking at all of them.

An inverted file (Sivic and Zisserman 2003; Jégou et al. 2011, "Product Quantization for Nearest Neighbor Search",
section IV): descriptors are sorted into cells around centres, and each query is compared with those of a few cells.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.descriptors import Crop, describe, mirrored
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["CROP_SIDE", "Candidates", "find_candidates"]

FREQUENCIES = 8
CROP_SIDE = 0.88
PLACES = (0.15, 0.5, 0.85)
WHOLE: Crop = (1.0, 0.0, 0.0)
VIEWS = (WHOLE, *((CROP_SIDE, top, left) for top in PLACES for left in PLACES))
"""What of a picture the whole of another is compared with."""
LEAST_COSINE = 0.8
CELL = 256  # pictures in a cell, about
PROBED = 8  # cells that a query looks into
ROUNDS = 4  # of k-means
BLOCK = 8192  # queries at a time
MOST_PER_IMAGE = 4


@dataclass(frozen=True)
class Candidates:
    """Pairs to be verified, each once.

    Attributes:
        first: Places of the pictures of which a view was taken.
        second: Places of those that were compared whole.
        view: Of :data:`VIEWS`.
        mirrored: Whether the second was mirrored.
        cosine: Between their descriptors; that of the view that is most alike.
        complete: False where there were so many that the least alike were left out.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    view: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    cosine: NDArray[np.float32]
    complete: bool = True

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.first)


def find_candidates(grey: NDArray[np.uint8], progress: Callable[[int, int], None] | None = None) -> Candidates:
    """Return pairs whose descriptors, of one whole and of a view of the other, have a cosine of at least 0.8.

    Memory is a few times that of one set of descriptors, 256 bytes a picture.

    Args:
        grey: (N, SIDE, SIDE); plain pictures are like none.
        progress: Told after each view how many are done, and of how many.
    """
    whole = _in_blocks(grey, WHOLE)
    usable = np.flatnonzero(whole.any(axis=1))
    cells = _Cells(whole[usable])
    most = max(100_000, MOST_PER_IMAGE * len(grey))
    found = _none()
    for number, view in enumerate(VIEWS):
        seen = whole if view == WHOLE else _in_blocks(grey, view)
        for flip in (False, True):
            queries = mirrored(seen, FREQUENCIES) if flip else seen
            for first, second, cosine in cells.near(queries[usable], LEAST_COSINE):
                first, second = usable[first], usable[second]
                # A picture is like itself, and of two whole ones either finds the other.
                kept = first < second if view == WHOLE else first != second
                count = int(kept.sum())
                some = Candidates(first[kept], second[kept], np.full(count, number), np.full(count, flip), cosine[kept])
                found = _joined(found, some, most)
        if progress is not None:
            progress(number + 1, len(VIEWS))
    return _joined(found, _none(), most, last=True)


def _in_blocks(grey: NDArray[np.uint8], view: Crop) -> NDArray[np.float32]:
    parts = [describe(grey[start : start + BLOCK], FREQUENCIES, view) for start in range(0, len(grey), BLOCK)]
    return np.concatenate(parts or [np.zeros((0, FREQUENCIES**2), np.float32)])


def _none() -> Candidates:
    places = np.zeros(0, np.int64)
    return Candidates(places, places, places, np.zeros(0, bool), np.zeros(0, np.float32))


def _joined(found: Candidates, more: Candidates, most: int, *, last: bool = False) -> Candidates:
    """Return both, each pair once as it is most alike; of more than ``most`` the most alike."""
    both = _picked(found, more)
    if not last and len(both) < 2 * most:  # sorted only now and then
        return both
    low, high = np.minimum(both.first, both.second), np.maximum(both.first, both.second)
    order = np.lexsort((both.mirrored, both.view, -both.cosine, high, low))
    new = np.ones(len(order), bool)
    new[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    kept = order[new]
    if len(kept) <= most:
        return _picked(both, rows=kept)
    kept = np.sort(kept[np.argsort(-both.cosine[kept], kind="stable")[:most]])
    return replace(_picked(both, rows=kept), complete=False)


def _picked(*parts: Candidates, rows: NDArray[np.int64] | slice = slice(None)) -> Candidates:
    """Some rows of several one after another."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[rows]
        for name in ("first", "second", "view", "mirrored", "cosine")
    }
    return Candidates(**columns, complete=all(part.complete for part in parts))


class _Cells:
    """Descriptors sorted into cells by the centre that they are nearest to."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.centres = _centres(vectors)
        nearest = np.concatenate([block.argmax(axis=1) for _, block in self._closeness(vectors)] or [np.zeros(0, int)])
        self.order = np.argsort(nearest, kind="stable")
        self.ends = np.searchsorted(nearest[self.order], np.arange(len(self.centres) + 1))

    def _closeness(self, queries: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for start in range(0, len(queries), BLOCK):
            yield start, queries[start : start + BLOCK] @ self.centres.T

    def near(
        self, queries: NDArray[np.float32], least: float
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """Yield places of queries and of vectors that are at least so close, and how close."""
        probed = min(PROBED, len(self.centres))
        for start, close in self._closeness(queries):
            cells = np.argpartition(-close, probed - 1, axis=1)[:, :probed].ravel()
            order = np.argsort(cells, kind="stable")
            ends = np.searchsorted(cells[order], np.arange(len(self.centres) + 1))
            for cell in range(len(self.centres)):
                asked = start + order[ends[cell] : ends[cell + 1]] // probed
                held = self.order[self.ends[cell] : self.ends[cell + 1]]
                if len(asked) and len(held):
                    cosines = queries[asked] @ self.vectors[held].T
                    query, vector = np.nonzero(cosines >= least)
                    if len(query):
                        yield asked[query], held[vector], cosines[query, vector]


def _centres(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spherical k-means (Dhillon and Modha 2001) on a sample."""
    count = max(1, len(vectors) // CELL)
    if count <= PROBED or not len(vectors):  # all cells would be looked into
        return np.ones((1, vectors.shape[1]), np.float32)
    generator = numpy_generator_for("inspection cells", seed=0)
    sample = vectors[generator.permutation(len(vectors))[: 64 * count]]
    centres = sample[:count].copy()
    for _ in range(ROUNDS):
        blocks = (sample[start : start + BLOCK] for start in range(0, len(sample), BLOCK))
        nearest = np.concatenate([(block @ centres.T).argmax(axis=1) for block in blocks])
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centres)
    return centres
