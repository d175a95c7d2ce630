"""Files in a zip that is read in place."""

import bisect
import io
import os
import posixpath
import struct
import zipfile
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.images.decode import MAX_PIXELS
from lightning_recipes.data.sources.byte_ranges import LocalFile
from lightning_recipes.data.sources.faults import Head
from lightning_recipes.data.sources.files import is_visible
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.errors import UserError

__all__ = ["MAX_BYTES", "Zip"]

LOCAL_HEADER = 30
"""Bytes before a file's name; the lengths of the name and of what follows it are the last four."""

ENCRYPTED = 0x1

MAX_BYTES = 8 * MAX_PIXELS
"""What a file may unpack to: the largest picture that is read, four channels of 16 bits, not compressed."""


class Zip:
    """Files in a zip, stored or deflated.

    The directory is read once, into arrays that forked workers share; ``zipfile`` would read it again in every worker
    of every epoch, and keep an object a file. Reads name their place in the zip and move no shared position, so threads
    and forked workers cannot mix them.

    Args:
        root: The zip.

    Raises:
        UserError: It is not a whole zip, or is encrypted or packed in a way other than stored and deflated.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._names, self._entries = _directory(root)
        self._size = os.path.getsize(root)
        self._file = LocalFile(root)

    def names(self) -> Names:  # noqa: D102
        return self._names

    def noted(self) -> dict[str, Head] | None:  # noqa: D102
        return None

    def stamp(self, name: str) -> str:  # noqa: D102
        try:
            _, _, size, _, crc = self._entry(name)
        except FileNotFoundError:
            return ""
        return f"{size}-{crc:08x}"

    def _entry(self, name: str) -> tuple[int, int, int, int, int]:
        position = bisect.bisect_left(self._names, name)
        if position == len(self._names) or self._names[position] != name:
            raise FileNotFoundError(f"the zip has no file '{name}'")
        offset, packed, size, method, crc = self._entries[position].tolist()
        return offset, packed, size, method, crc

    def open(self, name: str) -> BinaryIO:  # noqa: D102
        offset, packed, size, method, crc = self._entry(name)
        if size > MAX_BYTES:
            raise OSError(f"{size:,} bytes, more than {MAX_BYTES:,}")
        if packed > self._size or (method == zipfile.ZIP_STORED and packed != size):
            raise OSError("damaged in the zip")
        header = self._file.read(offset, LOCAL_HEADER)
        if len(header) < LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise OSError("damaged in the zip")
        data = self._file.read(offset + LOCAL_HEADER + sum(struct.unpack("<HH", header[-4:])), packed)
        try:
            if method == zipfile.ZIP_DEFLATED:  # not further than it says: a file of kilobytes may unpack to terabytes
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except zlib.error:
            raise OSError("damaged in the zip") from None
        if len(data) != size or zlib.crc32(data) != crc:
            raise OSError("damaged in the zip")
        return io.BytesIO(data)


def _directory(root: str) -> tuple[Names, NDArray[np.int64]]:
    """Return the names, sorted, and of each: offset of its header, bytes packed and unpacked, method, checksum."""
    try:
        with zipfile.ZipFile(root) as archive:
            found = {_plain(info.filename): info for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, struct.error) as error:
        raise UserError(f"{root}: is not a whole zip ({error}); make or copy it again") from None
    names = sorted(name for name in found if name and is_visible(name.rstrip("/")))
    infos = [found[name] for name in names]
    for info in infos:
        if info.flag_bits & ENCRYPTED:
            raise UserError(f"{root}: is encrypted ('{info.filename}'); make the zip without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(
                f"{root}: is packed by method {info.compress_type} ('{info.filename}'); "
                "make the zip again, stored or deflated"
            )
    rows = [(i.header_offset, i.compress_size, i.file_size, i.compress_type, i.CRC) for i in infos]
    return Names(names), np.array(rows, dtype=np.int64).reshape(-1, 5)


def _plain(name: str) -> str:
    """Return a name as a path below the root, whatever it says: it is no path of this machine, and nothing is unpacked.

    Zips made on Windows may have backslashes, others absolute paths or paths that go up.
    """
    plain = name.replace("\\", "/")
    return posixpath.normpath("/" + plain).strip("/") + "/" * (plain.endswith("/") and plain.strip("./") != "")
