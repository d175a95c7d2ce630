"""What the data room means by a set of labelled images, wherever they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageSource", "Splits", "Subset"]


class ImageSource(Protocol):
    """Labelled images that are read by position; picklable, and safe to read from forked workers.

    Attributes:
        classes: Names of the classes; a label is a position in it.
        labels: One label an image; -1 where it is not known.
        paths: One name an image, as a person would look it up; unique within the source.
    """

    classes: tuple[str, ...]
    labels: Sequence[int]
    paths: Sequence[str]

    def __len__(self) -> int: ...

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an RGB image of shape (height, width, 3); its sides may be reduced down to ``min_size``, not below."""
        ...


@dataclass(frozen=True)
class Subset:
    """Some images of a source, in the order given; itself a source."""

    source: ImageSource
    indices: Sequence[int]

    @property
    def classes(self) -> tuple[str, ...]:  # noqa: D102
        return self.source.classes

    @property
    def labels(self) -> Sequence[int]:  # noqa: D102
        return [self.source.labels[i] for i in self.indices]

    @property
    def paths(self) -> Sequence[str]:  # noqa: D102
        return [self.source.paths[i] for i in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:  # noqa: D102
        return self.source.read(self.indices[index], min_size)


@dataclass(frozen=True)
class Splits:
    """The parts of a data set; ``test`` is None where the data has none."""

    train: ImageSource
    val: ImageSource
    test: ImageSource | None = None
