"""The order of evaluation, and its shards, which repeat no image."""

from collections.abc import Iterator, Sized

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler, SequentialSampler

from lightning_recipes.data.sources.labels import Labels, strata
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["ShardSampler", "stratified_order"]


def stratified_order(labels: Labels, seed: int) -> NDArray[np.int64]:
    """Return an order of images of which any first part holds every class in its share of the whole.

    The images of a class are shuffled and laid at equal distances over the whole, from a start that is the class's own.
    So a first part has of each class its share, give or take an image or two, and every image may be in it: classes
    that are too small for one image of each are drawn by lot.

    Args:
        labels: One label an image; of several, images of the same labels are a class.
        seed: Of the draw; the run's seed has no part in it.

    Example:
        >>> labels = [0] * 6 + [1] * 3
        >>> [labels[i] for i in stratified_order(labels, seed=0)[:3]].count(0)
        2
    """
    generator = numpy_generator_for("evaluation order", seed=seed)
    shuffled = generator.permutation(len(labels))
    _, classes, counts = np.unique(strata(labels)[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    among_its_class = np.empty(len(labels), dtype=np.int64)
    among_its_class[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = (generator.permutation(len(counts)) + 0.5) / max(1, len(counts))
    places = (among_its_class + starts[classes]) / counts[classes]
    return shuffled[np.argsort(places, kind="stable")]


class ShardSampler(DistributedSampler, SequentialSampler):  # type: ignore[type-arg]
    """Every world-size-th image from this rank on, none of them twice: exact sums over all ranks.

    Lightning's own would pad the ranks to one length with repeated images, which shifts every figure of evaluation; and
    with ``overfit_batches`` it would give every rank the same images, were this not a ``SequentialSampler``.

    Args:
        data: The images.
        order: Their positions in the order of evaluation, such as of :func:`stratified_order` (default: as they stand).
            The first n batches of all ranks together are its first part.
        num_replicas: Number of processes.
        rank: This process.
    """

    def __init__(
        self, data: Sized, *, order: NDArray[np.int64] | None = None, num_replicas: int = 1, rank: int = 0
    ) -> None:
        super().__init__(data, num_replicas=num_replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.order = np.arange(len(data)) if order is None else order

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's positions."""
        return iter(self.order[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        """Images of this rank."""
        return len(range(self.rank, len(self.order), self.num_replicas))
