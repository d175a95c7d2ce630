"""Millions of names without a Python object each: forked workers copy the pages of a list by counting references."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Names", "Picked"]


class Names(Sequence[str]):
    """Names in one text and one array of ends; one long name costs its own length, not that of all others.

    Args:
        names: In the order that is wanted.

    Attributes:
        text: All names, one after the other, in UTF-8.
        ends: Where each of them ends in it, after a 0.

    Example:
        >>> names = Names(["ants/1.jpg", "bees/2.jpg"])
        >>> names[1], names[-2], len(names)
        ('bees/2.jpg', 'ants/1.jpg', 2)
    """

    def __init__(self, names: Iterable[str]) -> None:
        # Names of files may hold bytes that are no text; Python keeps them as lone surrogates.
        encoded = [name.encode("utf-8", "surrogatepass") for name in names]
        self.text = b"".join(encoded)
        self.ends: NDArray[np.int64] = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    @classmethod
    def of(cls, text: bytes, ends: NDArray[np.int64]) -> "Names":
        """Return names that are stored as such: all of them in one text, in UTF-8, and where each ends, from 0."""
        names = cls(())
        names.text, names.ends = text, ends
        return names

    def __len__(self) -> int:
        """Number of names."""
        return len(self.ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Names": ...
    def __getitem__(self, index: int | slice) -> "str | Names":
        """Return a name, or some as another sequence."""
        if isinstance(index, slice):
            return Names(self[i] for i in range(*index.indices(len(self))))
        position = range(len(self))[index]
        return self.text[self.ends[position] : self.ends[position + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        """Yield the names in order."""
        ends = pairwise(self.ends.data)
        return (self.text[start:end].decode("utf-8", "surrogatepass") for start, end in ends)


class Picked(Sequence[str]):
    """Some names of a sequence, looked up when they are asked for.

    Args:
        names: All names.
        indices: Positions in it, in the order that is wanted.
    """

    def __init__(self, names: Sequence[str] | NDArray[np.str_], indices: NDArray[np.int64]) -> None:
        self._names, self._indices = names, indices

    def __len__(self) -> int:
        """Number of names."""
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Picked": ...
    def __getitem__(self, index: int | slice) -> "str | Picked":
        """Return a name, or some as another sequence."""
        if isinstance(index, slice):
            return Picked(self._names, self._indices[index])
        return str(self._names[int(self._indices[index])])
