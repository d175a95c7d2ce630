"""Images that are there twice: to the pixel, or as the same picture recompressed, resized, cropped or mirrored."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.align import Read, confirm
from lightning_recipes.inspection.candidates import find_candidates
from lightning_recipes.inspection.images import ImageSet
from lightning_recipes.inspection.verify import verify

__all__ = ["Duplicates", "Pair", "exact_groups", "find_duplicates", "grouped"]

EXACT = "exact"


@dataclass(frozen=True)
class Pair:
    """Two images of the same.

    Attributes:
        places: In the set; of a crop the whole picture first.
        kind: ``exact``, ``same`` (recompressed or resized), ``mirrored``, ``cropped`` or ``mirrored and cropped``.
        correlation: In [-1, 1]; 1 where they are equal to the pixel.
    """

    places: tuple[int, int]
    kind: str
    correlation: float = 1.0


@dataclass(frozen=True)
class Duplicates:
    """All that are there twice.

    Attributes:
        exact: Groups of images of equal pixels or bytes, each in its order in the set.
        near: Pairs of others, the first of each exact group standing for it, the most alike first.
        complete: False where the pictures are so alike that only the most alike pairs were looked at.
    """

    exact: Sequence[Sequence[int]] = ()
    near: Sequence[Pair] = ()
    complete: bool = True
    _members: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def across(self, parts: NDArray[np.int64]) -> Iterator[Pair]:
        """Yield pairs that lie in two parts, one for each image and other part.

        Args:
            parts: (N,), such as the split of each image, or its class.
        """
        for group in self.exact:
            first = {int(parts[place]): place for place in reversed(group)}  # the first of each part
            yield from (
                Pair((kept, place), EXACT) for place in group for part, kept in first.items() if part < parts[place]
            )
        for pair in self.near:
            a, b = (self._members.get(place, (place,)) for place in pair.places)
            done = set()
            for one, other in product(a, b):
                if parts[one] != parts[other] and (one, parts[other]) not in done:
                    done |= {(one, parts[other]), (other, parts[one])}
                    yield Pair((one, other), pair.kind, pair.correlation)

    def clusters(self, count: int) -> list[list[int]]:
        """Return the groups of images that are the same by any of this, largest first.

        Args:
            count: N.
        """
        ties = [(group[0], place) for group in self.exact for place in group[1:]]
        return grouped([*ties, *(pair.places for pair in self.near)], count)


def grouped(ties: Iterable[tuple[int, int]], count: int) -> list[list[int]]:
    """Return the connected groups of two or more, largest first, each in order.

    Args:
        ties: Pairs of places.
        count: Number of places.

    Example:
        >>> grouped([(0, 3), (3, 4), (1, 2)], 6)
        [[0, 3, 4], [1, 2]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.array(list(ties), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    found: dict[int, list[int]] = defaultdict(list)
    for place in np.unique(pairs).tolist():
        found[int(label[place])].append(place)
    return sorted((group for group in found.values() if len(group) > 1), key=lambda group: (-len(group), group))


def exact_groups(images: ImageSet) -> list[list[int]]:
    """Return groups of images of the same bytes or the same pixels."""
    ties: list[tuple[int, int]] = []
    for name, places in (("file", images.whole), ("pixels", images.decoded)):
        first: dict[bytes, int] = {}
        for place, digest in zip(places.tolist(), images.records[name][places], strict=True):
            ties.append((first.setdefault(digest.tobytes(), place), place))
    return sorted(grouped(ties, len(images)))


def find_duplicates(images: ImageSet, read: Read, progress: Callable[[int, int], None] | None = None) -> Duplicates:
    """Find all images that are there twice.

    Args:
        images: The set.
        read: From the place of an image to its picture, for those that look the same from afar.
        progress: Told how much of the search is done, and of how much.
    """
    exact = exact_groups(images)
    members = {group[0]: group for group in exact}
    copies = {place for group in exact for place in group[1:]}
    places = np.array([place for place in images.decoded.tolist() if place not in copies], np.int64)
    grey = images.records["grey"][places]
    candidates = find_candidates(grey, progress)
    seen = verify(grey, images.records["colour"][places], candidates)
    sides = np.minimum(images.records["width"][places], images.records["height"][places])
    found = confirm(seen, sides, lambda place: read(int(places[place])))
    near = [
        Pair((int(places[a]), int(places[b])), found.kind(row), round(float(found.correlation[row]), 4))
        for row, (a, b) in enumerate(found.pairs)
    ]
    near.sort(key=lambda pair: (-pair.correlation, pair.places))
    return Duplicates(exact, near, candidates.complete and found.complete, members)
