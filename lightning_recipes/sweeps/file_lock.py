"""Locks that end with the process that has them, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["JournalLock", "locked", "try_lock"]


def try_lock(path: Path) -> int | None:
    """Lock a file, made if it is not there, and return its descriptor; None where another process has it."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep all other processes out of the block, in their order."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


class JournalLock:
    """The lock of a journal, for Optuna's ``JournalFileBackend``.

    Optuna's own locks are a file that a killed process leaves behind: all others then wait for thirty seconds; and
    where the journal's path is relative they try for ever without a pause, as they look for the time of a link that
    leads nowhere. What a process has left that was killed while it wrote, a line without its end, is cut off before
    the next line is written: Optuna would refuse the whole journal.

    Args:
        journal: Its file.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._number = journal, -1

    def acquire(self) -> bool:
        """Wait for the lock, and mend the journal's end."""
        number = os.open(f"{self._journal}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            _cut_unfinished_line(self._journal)
        except BaseException:
            os.close(number)
            raise
        self._number = number
        return True

    def release(self) -> None:
        """Let the next one in."""
        number, self._number = self._number, -1
        with suppress(OSError):
            os.close(number)


def _cut_unfinished_line(path: Path) -> None:
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        start = max(0, end - 2**20)  # no line of ours is as long
        file.seek(start)
        file.truncate(start + file.read(end - start).rfind(b"\n") + 1)
