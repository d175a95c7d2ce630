"""Which files of a set are no whole pictures: told from their bytes, without decoding them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from lightning_recipes.data.decode import fault_of
from lightning_recipes.data.files import FileSource
from lightning_recipes.errors import UserError

__all__ = ["drop_bad", "find_bad"]

SHOWN = 10
THREADS = 8  # the work is waiting for the disk


def find_bad(source: FileSource) -> dict[int, str]:
    """Return position and fault of every file that is empty, no picture, or cut short."""

    def fault(index: int) -> str | None:
        name = str(source.names[index])
        try:
            return fault_of(source.tree.data(name))
        except OSError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        faults = list(pool.map(fault, range(len(source)), chunksize=64))
    return {index: text for index, text in enumerate(faults) if text is not None}


def drop_bad(source: FileSource, on_bad_image: Literal["error", "skip"]) -> tuple[FileSource, list[str]]:
    """Return the source without its bad files, and their names.

    Raises:
        UserError: There are bad files and they are not to be skipped, or a class would be left without images.
    """
    bad = find_bad(source)
    if not bad:
        return source, []
    names = [f"{source.names[index]} ({fault})" for index, fault in bad.items()]
    if on_bad_image == "error":
        raise UserError(f"data.on_bad_image: {_listed(source.tree.root, names)}; mend or remove them, or give skip")
    good = [index for index in range(len(source)) if index not in bad]
    labels = source.labels[good]
    empty = set(range(len(source.classes))) - set(np.unique(labels).tolist())
    if empty:
        lost = source.classes[min(empty)]
        raise UserError(
            f"data.on_bad_image: class '{lost}' has no whole image left; {_listed(source.tree.root, names)}"
        )
    return FileSource(source.tree, source.names[good], labels, source.classes), names


def _listed(root: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    plural = "s are" if len(names) > 1 else " is"
    return f"{len(names)} file{plural} no whole picture in '{root}': {', '.join(names[:SHOWN])}{more}"
