"""Decoded images in one file in memory, which the processes of a machine share."""

import mmap
import os
import socket
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Address", "DecodedStore"]

COLUMNS = 4  # height, width, channels, and where the pixels begin, plus one: nothing is kept where it is 0
ALIGNED = 4096


class Address(NamedTuple):
    """Where another process finds a store.

    Attributes:
        host: Name of the machine.
        process: That made it.
        number: Of its file there.
        images: How many it has room for.
        limit: Bytes of pixels.
    """

    host: str
    process: int
    number: int
    images: int
    limit: int


class DecodedStore:
    """Images by number, each kept by whichever process first had it, in a file without a name: no crash leaves any.

    The system gives its memory back page by page to the disk of the temporary folder (``TMPDIR``) where others need it.
    Processes that are forked have it; others, also of another start method, open it by its address. It is freed with
    the last object of the last process.

    Args:
        file: Number of an open file, whose first bytes are a table of the images; closed with the object.
        address: Of it.
    """

    def __init__(self, file: int, address: Address) -> None:
        self.address, self._file = address, file
        weakref.finalize(self, os.close, file)
        self._table_bytes = _table_bytes(address.images)
        # Pixels are read through memory alone: a page that the disk has no room for ends a process that writes it so.
        whole = np.frombuffer(mmap.mmap(file, self._table_bytes + address.limit), np.uint8)
        self._table = whole[: (address.images + 1) * COLUMNS * 8].view(np.int64).reshape(-1, COLUMNS)
        self._pixels = whole[self._table_bytes :]

    @classmethod
    def new(cls, images: int, limit: int) -> Self:
        """Return an empty store.

        Args:
            images: How many it has room for.
            limit: Bytes of pixels that it takes at most.

        Raises:
            OSError: There is no room for its table, or the process may not have so much memory.
        """
        with tempfile.TemporaryFile(prefix="lightning-recipes-") as file:
            file.write(bytes(_table_bytes(images)))  # which has its room from now on
            file.flush()
            file.truncate(_table_bytes(images) + limit)  # and the pixels none yet
            number = os.dup(file.fileno())
        return cls(number, Address(socket.gethostname(), os.getpid(), number, images, limit))

    @classmethod
    def at(cls, address: Address) -> Self | None:
        """Return the store of another process; None where it cannot be reached, as on another machine."""
        path = f"/proc/{address.process}/fd/{address.number}"
        if address.host != socket.gethostname():
            return None
        try:
            return cls(os.open(path, os.O_RDWR), address)
        except OSError:  # no Linux, another container, or it has ended
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Be found by a process that is not forked; one that cannot reach it begins its own."""
        return _found_or_new, (self.address,)

    def get(self, number: int) -> NDArray[np.uint8] | None:
        """Return a copy of an image, (H, W, C); None where it is not kept."""
        height, width, channels, after = (int(value) for value in self._table[number])
        if not after:
            return None
        begin = after - 1
        return np.array(self._pixels[begin : begin + height * width * channels]).reshape(height, width, channels)

    def put(self, number: int, image: NDArray[np.uint8]) -> bool:
        """Keep an image, (H, W, C); tell whether there was room."""
        with self._alone():
            begin = int(self._table[-1, 0])
            if begin + image.size > self.address.limit:
                return False
            self._table[-1, 0] = begin + image.size
        left, at = np.ascontiguousarray(image).data.cast("B"), self._table_bytes + begin
        try:
            while left:
                done = os.pwrite(self._file, left, at)
                left, at = left[done:], at + done
        except OSError:  # the disk is full
            return False
        self._table[number, :3] = image.shape
        self._table[number, 3] = begin + 1  # the last of all: who sees it sees the rest
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if fcntl is None:
            yield
            return
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


def _table_bytes(images: int) -> int:
    return -(-(images + 1) * COLUMNS * 8 // ALIGNED) * ALIGNED


def _found_or_new(address: Address) -> DecodedStore:
    return DecodedStore.at(address) or DecodedStore.new(address.images, address.limit)
