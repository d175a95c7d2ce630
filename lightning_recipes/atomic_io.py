"""Files that are there whole or not at all, whatever stops the process while they are written."""

import csv
import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_recipes.errors import UserError

__all__ = [
    "WriteError",
    "failed_write",
    "named_failures",
    "refuse_taken_folder",
    "whole_file",
    "whole_folder",
    "write_csv",
    "write_json",
]


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class WriteError(OSError):
    """A file could not be written; ``filename`` is the file that was meant, ``strerror`` the reason.

    What was there before is still there.
    """


@contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Let a failure to write say which file it was: the system's own error of a full disk names none.

    Raises:
        WriteError: In the place of any other ``OSError`` in the block.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; it takes the place of ``path`` when the block has ended well.

    By then it is on the disk, so that a power failure leaves the old file or the new one. Folders that are missing are
    made.

    Raises:
        WriteError: The disk is full, or the like; ``path`` is as it was.
    """
    part = path.with_name(f"{path.name}.tmp")
    with named_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            _flush(part)
            os.replace(part, path)
            _flush(path.parent)
        finally:
            part.unlink(missing_ok=True)


def refuse_taken_folder(key: str, folder: Path) -> None:
    """Refuse a new folder that there is something in.

    Args:
        key: That gave it.
        folder: Its path.

    Raises:
        UserError: Names both.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{key}: '{folder}' is there already; give a new folder")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill, beside ``path``; it becomes ``path`` when the block has ended well, and else is removed.

    What a process that was killed has left, ``.NAME.unfinished-*`` beside ``path``, is removed by the next that makes
    the same folder, unless a process is still at it (where files cannot be locked, as on Windows, it stays).

    Raises:
        OSError: The folder cannot be made; ``path`` is there with something in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.unfinished-"
    for left in [one for one in path.parent.iterdir() if one.name.startswith(prefix)]:
        with _locked(left) as ours:
            if ours:
                shutil.rmtree(left, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    with _locked(aside):
        whole = aside / path.name  # not `aside` itself, which nobody else may read
        try:
            whole.mkdir()
            yield whole
            whole.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder until the block ends, or the process; tell whether nobody else had."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    number = -1
    try:
        number = os.open(folder, os.O_RDONLY)
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or it is gone, or the drive has no locks
        ours = False
    else:
        ours = True
    try:
        yield ours
    finally:
        if number >= 0:
            os.close(number)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; not every system can do it to a folder."""
    folder = path.is_dir()
    try:
        number = os.open(path, os.O_RDONLY if folder or os.name != "nt" else os.O_RDWR)
    except OSError:
        if folder:
            return
        raise
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EACCES):  # pipes, some network drives
            raise
    finally:
        os.close(number)


def failed_write(error: BaseException | None) -> str:
    """Say in one line which file could not be written and why, or return an empty string for any other error.

    Args:
        error: Of the system. Where a second failure came of the first, the first is told.
    """
    told = ""
    while isinstance(error, OSError):
        if isinstance(error, WriteError) or (error.errno in DISK and (error.filename or not told)):
            told = f"{error.filename or 'a file'}: could not be written ({error.strerror}); what was there is unchanged"
        error = error.__cause__ or error.__context__
    return told


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; numbers that JSON does not have, nan and inf, are null."""
    text = json.dumps(_finite(value), indent=2, allow_nan=False)
    with whole_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(of) for key, of in value.items()}
    return [_finite(of) for of in value] if isinstance(value, (list, tuple)) else value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; bytes in a file's name that are no text are escaped."""
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
