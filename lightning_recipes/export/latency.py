"""How long a picture takes, in a file's form and in the framework's."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_recipes.modules.evaluator import Evaluator

__all__ = ["Form", "Latency", "eager", "latencies"]

SECONDS = 0.25  # of measuring, at least
LEAST = 5  # runs

Batch = NDArray[np.uint8]
Form = Callable[[int], Callable[[Batch], object]]
"""For a number of threads, what takes pictures (N, H, W, 3)."""


class Latency(NamedTuple):
    """A row of the table.

    Attributes:
        form: Such as ``onnx`` or ``eager``.
        batch: Pictures at once.
        threads: That computed.
        milliseconds: A picture, the median of the runs.
    """

    form: str
    batch: int
    threads: int
    milliseconds: float


def latencies(forms: dict[str, Form], picture: Batch, sizes: tuple[int, ...] = (1, 8)) -> list[Latency]:
    """Return how long each form takes for a picture, with one thread and with all.

    Args:
        forms: By name.
        picture: (H, W, 3).
        sizes: Pictures at once.
    """
    rows = []
    for threads in dict.fromkeys((1, os.cpu_count() or 1)):
        with _threads(threads):
            for form, made in forms.items():
                run = made(threads)
                for size in sizes:
                    batch = np.repeat(picture[None], size, axis=0)
                    rows.append(Latency(form, size, threads, 1000 * _seconds(lambda r=run, b=batch: r(b)) / size))  # type: ignore[misc]
    return rows


def eager(judge: Evaluator) -> Form:
    """Return the framework's own way, ``predict``."""
    return lambda _: lambda pictures: judge.predict(list(pictures))


def _seconds(run: Callable[[], object]) -> float:
    """Median of some runs, after one that does not count."""
    run()
    taken: list[float] = []
    begin = time.perf_counter()
    while len(taken) < LEAST or time.perf_counter() - begin < SECONDS:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
