"""Files measured by several processes, of which a file that kills a decoder takes one along and no more."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.files import FileTree
from lightning_recipes.data.sources.progress import Progress
from lightning_recipes.inspection.chunks import Chunks
from lightning_recipes.inspection.measure import RECORD, Note, measure_files
from lightning_recipes.inspection.remarks import Remark

__all__ = ["Measured", "cores", "measure_all"]

TASK = 64  # files; few enough that the last ones do not keep one process alone
KIND = "files-2"
KILLS = "kills the program that decodes it"

_tree: FileTree


@dataclass(frozen=True)
class Measured:
    """All files of a set.

    Attributes:
        records: Rows of :data:`~lightning_recipes.inspection.measure.RECORD`, one a file.
        notes: One a file.
        reused: How many were known already.
    """

    records: NDArray[np.void]
    notes: list[Note]
    reused: int


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure_all(tree: FileTree, names: Sequence[str], chunks: Chunks, *, workers: int, progress: Progress) -> Measured:
    """Measure files, those alone that are not known; the result is the same for any number of workers.

    Args:
        tree: Where they are.
        names: Of the files.
        chunks: What is known; what is measured is added.
        workers: Processes, >= 1; with 1 it is done in this one.
        progress: Told now and then.
    """
    files = [(name, tree.stamp(name)) for name in names]
    records, notes = np.zeros(len(names), RECORD), [Note()] * len(names)
    known = chunks.known(files)
    for place, (record, note) in known.items():
        records[place], notes[place] = record, _note(note)
    left = [place for place in range(len(names)) if place not in known]
    done = len(known)
    progress("Reading images", done, len(names))
    try:
        for places, found, said in _measured(tree, names, left, min(workers, len(left) // TASK + 1)):
            records[places] = found
            for place, note in zip(places, said, strict=True):
                notes[place] = note
            chunks.add([files[place] for place in places], found, said)
            done += len(places)
            progress("Reading images", done, len(names))
    finally:
        chunks.flush()
    return Measured(records, notes, len(known))


def _note(saved: Sequence[object]) -> Note:
    fault, kind, mode, remarks = saved
    return Note(str(fault), str(kind), str(mode), tuple(Remark(*one) for one in remarks))  # type: ignore[attr-defined]


Rows = tuple[Sequence[int], NDArray[np.void], list[Note]]


def _measured(tree: FileTree, names: Sequence[str], left: Sequence[int], workers: int) -> Iterator[Rows]:
    """Yield places, rows and notes, in whatever order they come."""
    tasks = [left[start : start + TASK] for start in range(0, len(left), TASK)]
    if workers == 1:
        for task in tasks:
            yield task, *measure_files(tree, [names[place] for place in task])
        return
    broken, pool = [], _pool(tree, workers)
    try:
        futures = {pool.submit(_task, [names[place] for place in task]): task for task in tasks}
        for future in as_completed(futures):
            task = futures.pop(future)
            if (found := _result(future)) is None:
                broken.append(task)
            else:
                yield task, *found
    finally:
        pool.shutdown(cancel_futures=True)  # where it is stopped, after the tasks that have begun
    for task in sorted(broken, key=lambda places: places[0]):
        yield from _one_that_kills(tree, names, task)


def _one_that_kills(tree: FileTree, names: Sequence[str], task: Sequence[int]) -> Iterator[Rows]:
    """Measure a task of which a file may end the process, halved until that file is alone."""
    with _pool(tree, 1) as pool:
        found = _result(pool.submit(_task, [names[place] for place in task]))
    if found is not None:
        yield task, *found
    elif len(task) == 1:
        yield task, np.zeros(1, RECORD), [Note(KILLS)]
    else:
        middle = len(task) // 2
        yield from _one_that_kills(tree, names, task[:middle])
        yield from _one_that_kills(tree, names, task[middle:])


def _result(future: "Future[tuple[NDArray[np.void], list[Note]]]") -> tuple[NDArray[np.void], list[Note]] | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _pool(tree: FileTree, workers: int) -> ProcessPoolExecutor:
    # Where a process can be forked safely it need not import everything anew, which takes seconds.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(tree, os.getpid()))


def _begin(tree: FileTree, parent: int) -> None:
    global _tree
    _tree = tree
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent has been killed; it would wait for tasks forever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _task(names: Sequence[str]) -> tuple[NDArray[np.void], list[Note]]:
    return measure_files(_tree, names)
