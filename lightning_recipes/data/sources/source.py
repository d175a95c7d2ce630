"""What the data room means by a set of labelled images, wherever they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.labels import Labels
from lightning_recipes.data.sources.picked import Picked

__all__ = ["ImageSource", "Splits", "Subset"]


class ImageSource(Protocol):
    """Labelled images that are read by position; picklable, and safe to read from forked workers.

    Attributes:
        classes: Names of the classes; a label is a position in it.
        labels: One label an image, -1 where it is not known; or (N, C) of 0 and 1, uint8, where it may have several.
        paths: One name an image, as a person would look it up; unique within the source.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def labels(self) -> Labels: ...  # noqa: D102

    @property
    def paths(self) -> Sequence[str] | NDArray[np.str_]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an RGB image of shape (height, width, 3); its sides may be reduced down to ``min_size``, not below."""
        ...


class Subset:
    """Some images of a source; itself a source.

    Args:
        source: All images.
        indices: Positions in it, in the order that is wanted.
    """

    def __init__(self, source: ImageSource, indices: NDArray[np.int64]) -> None:
        self.source, self.indices = source, indices
        self.classes = source.classes
        self.labels = np.asarray(source.labels)[indices]

    @property
    def paths(self) -> Picked:
        """One name an image."""
        return Picked(self.source.paths, self.indices)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as RGB."""
        return self.source.read(int(self.indices[index]), min_size)


@dataclass(frozen=True)
class Splits:
    """The parts of a data set; ``test`` is None where the data has none."""

    train: ImageSource
    val: ImageSource
    test: ImageSource | None = None
