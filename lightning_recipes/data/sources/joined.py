"""Several sources as one."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.labels import Labels
from lightning_recipes.data.sources.source import ImageSource

__all__ = ["Joined"]


class Joined:
    """The images of several sources, one source after the other; itself a source.

    Args:
        sources: At least one.
        classes: Names of the classes.
        labels: Of all images, in their order, in place of the sources' own.
    """

    def __init__(self, sources: Sequence[ImageSource], classes: Sequence[str], labels: Labels) -> None:
        self.sources, self.classes, self.labels = list(sources), tuple(classes), np.asarray(labels)
        self._ends = list(accumulate(len(source) for source in self.sources))

    @property
    def paths(self) -> Sequence[str]:
        """One name an image."""
        return [str(path) for source in self.sources for path in source.paths]

    def __len__(self) -> int:
        """Number of images."""
        return self._ends[-1]

    def origin(self, index: int) -> tuple[ImageSource, int]:
        """Return the source that an image is of, and its position there."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[number], index - (self._ends[number - 1] if number else 0)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as RGB."""
        source, position = self.origin(index)
        return source.read(position, min_size)
