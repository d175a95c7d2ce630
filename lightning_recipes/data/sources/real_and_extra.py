"""Real images and others beside them, as one source."""

import os
from itertools import chain

import numpy as np
from typing_extensions import override

from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.joined import Joined
from lightning_recipes.data.sources.labels import class_counts, several
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.source import ImageSource

__all__ = ["RealAndExtra", "comes_in_an_epoch", "counts_in_an_epoch", "extra_in_an_epoch"]


class RealAndExtra(Joined):
    """Real images first, extra ones after them; a source.

    Args:
        real: The images that validation is like.
        extra: Others, such as made ones, whose labels are positions in the classes of the real ones.
        weight: How often each extra image comes in an epoch of training, a real one coming once; > 0.
    """

    def __init__(self, real: ImageSource, extra: FileSource, weight: float = 1.0) -> None:
        super().__init__([real, extra], real.classes, np.concatenate([np.asarray(real.labels), extra.labels]))
        self.real, self.extra, self.weight = real, extra, weight
        beside = (os.path.join(extra.tree.root, path) for path in extra.paths)  # which may be called as real ones are
        self._names = Names(chain(map(str, real.paths), beside))

    @property
    @override
    def paths(self) -> Names:
        """One name an image."""
        return self._names


def comes_in_an_epoch(images: int, weight: float) -> int:
    """Return how often images of a weight come in an epoch, all together: to the nearest, and once at least.

    Example:
        >>> [comes_in_an_epoch(5, weight) for weight in (0.01, 0.5, 1.0, 2.0)]
        [1, 3, 5, 10]
    """
    return max(1, int(weight * images + 0.5)) if images else 0


def counts_in_an_epoch(source: ImageSource) -> list[int]:
    """Return how many images of each class come in an epoch of training, an extra one as often as its weight says."""
    if not isinstance(source, RealAndExtra):
        return class_counts(source.labels, len(source.classes))
    real, extra = (class_counts(part.labels, len(source.classes)) for part in (source.real, source.extra))
    return [one + comes_in_an_epoch(other, source.weight) for one, other in zip(real, extra, strict=True)]


def extra_in_an_epoch(source: RealAndExtra) -> int:
    """Return how often the extra images come in an epoch, all together."""
    if several(source.extra.labels):
        return comes_in_an_epoch(len(source.extra), source.weight)
    counts = class_counts(source.extra.labels, len(source.classes))
    return sum(comes_in_an_epoch(images, source.weight) for images in counts)
