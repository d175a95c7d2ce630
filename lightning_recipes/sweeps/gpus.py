"""A GPU for each worker: one that no other worker of the sweep has on this machine."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.file_lock import try_lock

__all__ = ["Gpus", "visible_gpus"]


def visible_gpus(count: int) -> list[str]:
    """Return what names each GPU in ``CUDA_VISIBLE_DEVICES``, where that is set, else their numbers.

    Args:
        count: GPUs that this process sees.
    """
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


class Gpus:
    """GPUs that this process has taken, until it ends.

    Args:
        out: Folder of the sweep, where others see that they are taken.
        gpus: There are.
        workers: That want one each; None: as many as are free.

    Raises:
        UserError: None is free.

    Attributes:
        taken: One for each worker; a worker that is asked for where none is free shares one.
    """

    def __init__(self, out: Path, gpus: Sequence[str], workers: int | None) -> None:
        self._locks: list[int] = []
        free: list[str] = []
        for gpu in gpus:
            if workers is not None and len(free) == workers:
                break
            lock = try_lock(out / f".gpu-{socket.gethostname()}-{gpu.replace('/', '_')}")
            if lock is not None:
                self._locks.append(lock)
                free.append(gpu)
        if not free and workers is None:
            raise UserError(
                "workers: other workers of this sweep have all GPUs of this machine; give --workers 1 to share"
            )
        every = free or list(gpus)
        self.taken = [every[i % len(every)] for i in range(workers or len(free))]

    def release(self) -> None:
        """Let others have them."""
        for lock in self._locks:
            with suppress(OSError):
                os.close(lock)
        self._locks = []
