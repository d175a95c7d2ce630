"""The threads of a server: a few that decode, and one that the network runs in."""

import os
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["DECODERS", "decoding_threads", "network_thread"]

DECODERS = max(1, min(4, os.cpu_count() or 1))


def decoding_threads() -> ThreadPoolExecutor:
    """Return threads that decode and resize pictures, one picture each."""
    return ThreadPoolExecutor(DECODERS, "decode", initializer=_use, initargs=(1,))


def network_thread() -> ThreadPoolExecutor:
    """Return the one thread that the network runs in, which has as many of torch's own as a process has."""
    return ThreadPoolExecutor(1, "network", initializer=_use, initargs=(torch.get_num_threads(),))


def _use(threads: int) -> None:
    """Have torch compute with so many threads in this one."""
    torch.get_num_threads()  # at the first question it takes the number of the last thread that set one
    torch.set_num_threads(threads)
