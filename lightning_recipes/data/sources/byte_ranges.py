"""Bytes of files by their place: in a folder of this machine, or below a URL that fsspec reads."""

import io
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

__all__ = ["ByteRanges", "LocalFile", "LocalFiles", "RemoteFiles", "is_url"]

OPEN_AT_ONCE = 64
"""Files that a process keeps open; a system allows some 1,000 for all that it does."""
WAITS = (0.5, 2.0)
"""Seconds before a remote read is tried again; filesystems of buckets have tries of their own beneath."""


def is_url(root: str) -> bool:
    """Tell whether data are named by a URL such as ``s3://bucket/shards``.

    Example:
        >>> is_url("s3://bucket/shards"), is_url("shards"), is_url("sklearn:digits")
        (True, False, False)
    """
    return "://" in root


class ByteRanges(Protocol):
    """Files below one root that are read by position; picklable, and safe to read from forked workers and threads."""

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Return the bytes of each file; None where the other side does not say.

        Raises:
            FileNotFoundError: One is not there; ``filename`` is its name among those given.
        """
        ...

    def whole(self, name: str) -> BinaryIO:
        """Open a whole file."""
        ...

    def read(self, name: str, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, fewer where the file ends.

        Raises:
            OSError: It cannot be read.
        """
        ...


class LocalFile:
    """A file that is read by position, so that threads and forked workers cannot mix their reads.

    It is closed when nothing refers to it any more, so none is closed while another thread reads from it.

    Args:
        path: Of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - open as long as it is in use

    def __getstate__(self) -> str:
        return self.path

    def __setstate__(self, path: str) -> None:
        self.__init__(path)  # type: ignore[misc]

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, fewer where the file ends."""
        if not hasattr(os, "pread"):  # Windows; a handle a read has a position of its own
            with open(self.path, "rb") as file:
                file.seek(offset)
                return file.read(count)
        data = os.pread(self._file.fileno(), count, offset)
        while 0 < len(data) < count:  # Linux gives at most 2 GiB at once
            more = os.pread(self._file.fileno(), count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


class LocalFiles:
    """Files of a folder, of which at most :data:`OPEN_AT_ONCE` are kept open, the latest that were read.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._opened = lru_cache(OPEN_AT_ONCE)(LocalFile)

    def __getstate__(self) -> str:
        return self.folder

    def __setstate__(self, folder: str) -> None:
        self.__init__(folder)  # type: ignore[misc]

    def sizes(self, names: Sequence[str]) -> list[int | None]:  # noqa: D102
        sizes: list[int | None] = []
        for name in names:
            try:
                sizes.append(os.path.getsize(os.path.join(self.folder, name)))
            except OSError as error:
                raise FileNotFoundError(error.errno, error.strerror, name) from None
        return sizes

    def whole(self, name: str) -> BinaryIO:  # noqa: D102
        return Path(self.folder, name).open("rb")

    def read(self, name: str, offset: int, count: int) -> bytes:  # noqa: D102
        return self._opened(os.path.join(self.folder, name)).read(offset, count)


class RemoteFiles:
    """Files below a URL, read by one request a range.

    Each process has a connection of its own: the event loop of the one that forked it does not run in it.

    Args:
        url: Such as ``s3://bucket/shards``; whatever fsspec knows.

    Raises:
        ImportError: What reads such URLs is not installed.
        ValueError: There is no such protocol.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # By process, and none is ever let go: to end one waits for its event loop, which a forked process has not.
        self._filesystems: dict[int, tuple[Any, str]] = {}
        self._filesystem()

    def __getstate__(self) -> str:
        return self.url

    def __setstate__(self, url: str) -> None:
        self.url, self._filesystems = url, {}

    def _filesystem(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        own = self._filesystems.get(os.getpid())
        if own is None:
            filesystem, path = url_to_fs(self.url, skip_instance_cache=True)
            own = self._filesystems[os.getpid()] = filesystem, path.rstrip("/")
        return own

    def sizes(self, names: Sequence[str]) -> list[int | None]:  # noqa: D102
        filesystem, path = self._filesystem()
        try:
            sizes: list[int | None] = filesystem.sizes([f"{path}/{name}" for name in names])
        except FileNotFoundError:
            missing = next((name for name in names if not filesystem.exists(f"{path}/{name}")), names[0])
            raise FileNotFoundError(None, "is not there", missing) from None
        return sizes

    def whole(self, name: str) -> BinaryIO:  # noqa: D102
        filesystem, path = self._filesystem()
        return io.BytesIO(filesystem.cat_file(f"{path}/{name}"))

    def read(self, name: str, offset: int, count: int) -> bytes:  # noqa: D102
        filesystem, path = self._filesystem()
        for wait in (*WAITS, None):
            try:
                data: bytes = filesystem.cat_file(f"{path}/{name}", start=offset, end=offset + count)
                break
            except (FileNotFoundError, PermissionError):
                raise OSError(f"{self.url}/{name} is not there, or not allowed") from None
            except MemoryError:
                raise
            except Exception as error:  # every filesystem has errors of its own: aiohttp's, botocore's, Google's ...
                if wait is None:
                    raise OSError(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
                time.sleep(wait)
        if len(data) > count:
            raise OSError(f"{self.url} gives whole files where it is asked for a part; it has to know byte ranges")
        return data
