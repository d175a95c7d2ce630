"""Memory of training on a CPU, and of a process that goes on for long."""

import ctypes
import sys

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> None:
    """Let the C library keep what training frees, to give it out again at the next step.

    glibc returns every large block to the kernel at once and fetches it anew, zeroed page by page, at the next step: a
    third to a half of a training step on a CPU (``benchmarks/throughput.py`` has figures). On other systems this does
    nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory() -> None:
    """Return to the kernel what was freed, a few milliseconds' work.

    glibc keeps blocks of up to 32 MB for the thread that freed them: after a picture of 100 megapixels a server had a
    gigabyte more, in each of its threads. On other systems this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if malloc_trim is not None:
        malloc_trim(0)
