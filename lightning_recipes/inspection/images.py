"""A set of images, all splits in one row of arrays."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.files import FileSource, FileTree
from lightning_recipes.inspection.measure import Note
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["ImageSet", "choose", "gather", "reader"]


@dataclass(frozen=True)
class ImageSet:
    """What is known of N images; splits follow one another.

    Attributes:
        paths: Below the root of the data.
        labels: (N,), positions of classes.
        split: (N,), positions of splits.
        classes: Names.
        splits: Names, of ``train``, ``val`` and ``test`` those that there are.
        records: (N,), of :data:`~lightning_recipes.inspection.measure.RECORD`.
        notes: One an image.
    """

    paths: Sequence[str]
    labels: NDArray[np.int64]
    split: NDArray[np.int64]
    classes: Sequence[str]
    splits: Sequence[str]
    records: NDArray[np.void]
    notes: Sequence[Note]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    @cached_property
    def whole(self) -> NDArray[np.int64]:
        """Places of the images that can be read."""
        return np.array([i for i, note in enumerate(self.notes) if not note.fault], np.int64)

    @cached_property
    def decoded(self) -> NDArray[np.int64]:
        """Places of those whose pixels were seen; the largest are not decoded."""
        return np.asarray(self.whole[self.records["seen"][self.whole]])

    def without(self, split: str) -> "ImageSet":
        """Return the set without its last split, if that is called so."""
        if self.splits[-1] != split:
            return self
        count, arrays = int((self.split < len(self.splits) - 1).sum()), (self.labels, self.split)
        labels, splits = (array[:count] for array in arrays)
        paths, records, notes = self.paths[:count], self.records[:count], self.notes[:count]
        return ImageSet(paths, labels, splits, self.classes, self.splits[:-1], records, notes)

    def path(self, place: int) -> str:
        """Return a path as it can be written: bytes that are no text are replaced."""
        return self.paths[place].encode("utf-8", "replace").decode()

    def class_of(self, place: int) -> str:
        """Name of an image's class."""
        return self.classes[int(self.labels[place])]

    def split_of(self, place: int) -> str:
        """Name of an image's split."""
        return self.splits[int(self.split[place])]

    def named(self, place: int, **more: Any) -> dict[str, Any]:
        """Return path, split and class of an image, and what is said of it."""
        return {"path": self.path(place), "split": self.split_of(place), "class": self.class_of(place), **more}

    def named_together(self, places: Iterable[int]) -> dict[str, Any]:
        """Return paths, splits and classes of several images."""
        each = [self.named(place) for place in places]
        return {f"{key}{'es' if key == 'class' else 's'}": [one[key] for one in each] for key in each[0]}


def gather(parts: Mapping[str, FileSource]) -> tuple[FileTree, list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return where the files of all splits are, their names, labels and splits.

    Args:
        parts: By the name of the split, of one tree.
    """
    sources = list(parts.values())
    names = [name for source in sources for name in source.paths]
    labels = np.concatenate([np.asarray(source.labels, np.int64) for source in sources])
    return sources[0].tree, names, labels, np.repeat(np.arange(len(sources)), [len(source) for source in sources])


def choose(images: ImageSet, copies: Sequence[int], most: int) -> NDArray[np.int64]:
    """Return places of images that can be read, of each class as many as far as it has them, at most so many.

    Args:
        images: The set.
        copies: Places to leave out.
        most: Images.
    """
    kept = np.setdiff1d(images.decoded, np.asarray(copies, np.int64))
    drawn = numpy_generator_for("inspection sample", seed=0).permutation(kept)
    rank = np.zeros(len(drawn), np.int64)
    for label in range(len(images.classes)):
        of = images.labels[drawn] == label
        rank[of] = np.arange(of.sum())
    return np.sort(drawn[np.argsort(rank, kind="stable")][:most])


def reader(parts: Mapping[str, FileSource], min_size: int) -> Callable[[int], NDArray[np.uint8]]:
    """Return what reads a picture (H, W, 3) by its place; it raises :class:`UserError` where it cannot be read.

    Args:
        parts: As of :func:`gather`.
        min_size: Shorter side in pixels that a JPEG may be reduced to.
    """
    sources = list(parts.values())
    starts = np.cumsum([0, *map(len, sources)])

    def read(place: int) -> NDArray[np.uint8]:
        part = int(np.searchsorted(starts, place, side="right")) - 1
        return sources[part].read(place - int(starts[part]), min_size)

    return read
