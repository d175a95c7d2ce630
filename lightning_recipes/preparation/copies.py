"""Images of one picture: which of them belong together, and which one of a group is kept."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.folders import SPLIT_ORDER
from lightning_recipes.preparation.images import Image
from lightning_recipes.preparation.inspection_file import EXACT, Tie

__all__ = ["best_of", "connected", "groups_of_copies", "how_copied"]


def connected(ties: Iterable[tuple[int, int]], count: int) -> NDArray[np.int64]:
    """Return a number for each of ``count`` places, the same where a chain of ties leads from one to the other.

    Args:
        ties: Pairs of places.
        count: Number of places.

    Example:
        >>> connected([(0, 3), (3, 1)], 5).tolist()
        [0, 0, 1, 0, 2]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.array(list(ties), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, number = connected_components(graph, directed=False)
    return np.asarray(number, np.int64)


def groups_of_copies(ties: Sequence[Tie], count: int) -> list[list[int]]:
    """Return the groups of two or more places of one picture, each in order, by their first.

    Example:
        >>> groups_of_copies([Tie((4, 0), "exact"), Tie((4, 2), "mirrored")], 6)
        [[0, 2, 4]]
    """
    number = connected((tie.places for tie in ties), count)
    found: dict[int, list[int]] = {}
    for place in sorted({place for tie in ties for place in tie.places}):
        found.setdefault(int(number[place]), []).append(place)
    return [group for group in found.values() if len(group) > 1]


def best_of(group: Iterable[int], images: Sequence[Image], pixels: Callable[[int], int], *, judged_first: bool) -> int:
    """Return which one of a group is kept: the largest, of several as large the first by name.

    Args:
        group: Places.
        images: All.
        pixels: From a place to width times height.
        judged_first: Keep one of test, else one of val, before any of train: what is judged stays what it was.
    """
    return min(
        group,
        key=lambda place: (
            -SPLIT_ORDER.index(images[place].split) if judged_first else 0, -pixels(place), images[place].path
        ),
    )  # fmt: skip


def how_copied(ties: Sequence[Tie]) -> Callable[[int, int], str]:
    """Return what says how one image came of another, in words: ``exact``, ``mirrored`` ... or by way of a third.

    Of copies that are equal to the pixel a report has the first stand for all in its pairs.
    """
    exact = {place: tie.places[0] for tie in ties if tie.kind == EXACT for place in tie.places}
    kinds = {frozenset(tie.places): tie.kind for tie in ties}

    def words(one: int, other: int) -> str:
        first, second = exact.get(one, one), exact.get(other, other)
        if first == second:
            return EXACT
        return kinds.get(frozenset((first, second)), "by way of others that are like both")

    return words
