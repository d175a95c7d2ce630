"""Pictures in shards: tar files with an index of offsets beside them, in a folder or below a URL."""

import bisect
import io
import zlib
from typing import BinaryIO

import numpy as np

from lightning_recipes.data.sources.archive import MAX_BYTES
from lightning_recipes.data.sources.byte_ranges import ByteRanges, LocalFiles, RemoteFiles, is_url
from lightning_recipes.data.sources.checks import LARGE
from lightning_recipes.data.sources.faults import Head
from lightning_recipes.data.sources.picked import Names
from lightning_recipes.data.sources.shard_index import INDEX, ShardIndex, load_index
from lightning_recipes.errors import UserError

__all__ = ["Shards"]


class Shards:
    """Pictures in shards, of which each is read by its place: in any order, by any number of workers and processes.

    :mod:`~lightning_recipes.data.sources.write_shards` says how they lie. Pictures have the names that they had in the
    folder: ``train/ants/0013035.jpg``.

    Args:
        root: The folder, or the URL of one that fsspec reads (``s3://``, ``gs://``, ``https://``); or the index in it.
        key: Of the recipe, for the error.

    Raises:
        UserError: There is no index, or it cannot be read; a shard is missing, or is not as long as the index says.
    """

    def __init__(self, root: str, key: str = "data.root") -> None:
        self.root = root.removesuffix(INDEX).rstrip("/") or "."
        self._files: ByteRanges = _remote(self.root, key) if is_url(root) else LocalFiles(self.root)
        self._index = _open_index(self._files, self.root, key)
        _compare_sizes(self._files, self._index, self.root)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels in the tar files."""
        return self._index.classes

    def names(self) -> Names:  # noqa: D102
        return self._index.names

    def noted(self) -> dict[str, Head]:  # noqa: D102
        names, rows, faults = self._index.names, self._index.pictures, self._index.faults
        large = rows["width"].astype(np.int64) * rows["height"] > LARGE
        noted = {*faults, *np.flatnonzero(large | rows["deep"]).tolist()}
        return {
            names[i]: Head(faults.get(i), (int(rows["width"][i]), int(rows["height"][i])), bool(rows["deep"][i]))
            for i in sorted(noted)
        }

    def stamp(self, name: str) -> str:  # noqa: D102
        try:
            _, _, size, crc = self._place(name)
        except FileNotFoundError:
            return ""
        return f"{size}-{crc:08x}"

    def _place(self, name: str) -> tuple[int, int, int, int]:
        names = self._index.names
        position = bisect.bisect_left(names, name)
        if position == len(names) or names[position] != name:
            raise FileNotFoundError(f"the shards have no file '{name}'")
        shard, offset, size, crc, *_ = self._index.pictures[position].item()
        return shard, offset, size, crc

    def open(self, name: str) -> BinaryIO:  # noqa: D102
        number, offset, size, crc = self._place(name)
        shard = self._index.shards[number]
        if size > MAX_BYTES:
            raise OSError(f"{size:,} bytes, more than {MAX_BYTES:,}")
        data = self._files.read(shard, offset, size)
        if len(data) != size or zlib.crc32(data) != crc:
            raise OSError(f"damaged in the shard {shard}")
        return io.BytesIO(data)


def _remote(url: str, key: str) -> RemoteFiles:
    try:
        return RemoteFiles(url)
    except (ImportError, ValueError) as error:  # fsspec's own text names the package, or says what it knows
        raise UserError(
            f"{key}: '{url}' cannot be read ({_line(error)}); install what reads it, or give a folder"
        ) from None


def _open_index(files: ByteRanges, root: str, key: str) -> ShardIndex:
    where = f"{root}/{INDEX}"
    try:
        file = files.whole(INDEX)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{key}: '{root}' has no {INDEX}; give a folder of shards, as prepare --shards true writes it"
        ) from None
    except Exception as error:  # every filesystem has errors of its own: aiohttp's, botocore's, Google's ...
        raise UserError(f"{where}: cannot be read ({_line(error)}); allow it, or give another folder") from None
    with file:
        return load_index(file, where)


def _compare_sizes(files: ByteRanges, index: ShardIndex, root: str) -> None:
    try:
        sizes = files.sizes(index.shards)
    except FileNotFoundError as error:
        raise UserError(f"{root}/{error.filename}: is not there, and the index names it; copy it there") from None
    except Exception as error:
        raise UserError(f"{root}: sizes of the shards cannot be read ({_line(error)}); try again") from None
    for name, size, meant in zip(index.shards, sizes, index.shard_bytes, strict=True):
        if size not in (meant, None):
            raise UserError(f"{root}/{name}: has {size:,} bytes, and {meant:,} by the index; copy or make it again")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
