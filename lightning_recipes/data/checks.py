"""Which files of a set are no whole pictures, before anything is trained."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from lightning_recipes.data.faults import fault_of
from lightning_recipes.data.files import FileSource
from lightning_recipes.errors import UserError

__all__ = ["drop_bad", "find_bad"]

SHOWN = 10
THREADS = 8  # the work is waiting for the disk
CHUNK = 256  # files a task of a thread; a task a file costs more than to check it


def find_bad(source: FileSource) -> dict[int, str]:
    """Return position and fault of every file that cannot be read, is empty, no picture, or cut short."""

    def faults(start: int) -> list[tuple[int, str]]:
        found = ((index, _fault(source, index)) for index in range(start, min(start + CHUNK, len(source))))
        return [(index, fault) for index, fault in found if fault is not None]

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(pair for pairs in pool.map(faults, range(0, len(source), CHUNK)) for pair in pairs)


def _fault(source: FileSource, index: int) -> str | None:
    try:
        with source.tree.open(source.paths[index]) as file:
            return fault_of(file)
    except OSError as error:
        return error.strerror or str(error)


def drop_bad(
    parts: Mapping[str, FileSource], on_bad_image: Literal["error", "skip"]
) -> tuple[dict[str, FileSource], tuple[str, ...]]:
    """Return the splits without their bad files, and these with what is wrong with each.

    Raises:
        UserError: There are bad files and they are not to be skipped, or a class would be left without images.
    """
    bad = {split: find_bad(source) for split, source in parts.items()}
    named = [f"{parts[split].paths[i]} ({fault})" for split, found in bad.items() for i, fault in found.items()]
    if not named:
        return dict(parts), ()
    root = next(iter(parts.values())).tree.root
    if on_bad_image == "error":
        raise UserError(f"data.on_bad_image: {_listed(root, named)}; mend or remove them, or give skip")
    good = {
        split: source.keep([i for i in range(len(source)) if i not in bad[split]]) for split, source in parts.items()
    }
    for split, source in good.items():
        empty = set(range(len(source.classes))) - set(np.unique(source.labels).tolist())
        if empty:
            lost = source.classes[min(empty)]
            raise UserError(
                f"data.on_bad_image: class '{lost}' has no whole image left in {split}; mend some of its files, "
                f"or remove the class: {_listed(root, named)}"
            )
    return good, tuple(named)


def _listed(root: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    plural = "s are" if len(names) > 1 else " is"
    return f"{len(names)} file{plural} no whole picture in '{root}': {', '.join(names[:SHOWN])}{more}"
