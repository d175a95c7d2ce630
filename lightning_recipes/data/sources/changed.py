"""Whether images are those that a run was begun with: their number, their labels, and the names of their files."""

import hashlib
from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from lightning_recipes.data.sources.remarks import warn
from lightning_recipes.data.sources.source import ImageSource

__all__ = ["Stamp", "stamp_of", "warn_of_changes"]

OF_WHICH = {
    "train": "epochs to come are drawn from those that are there now, and the run is no longer that of one go",
    "validation": "the best epoch so far was judged on the old ones",
}
"""What a change means, by split."""


class Stamp(TypedDict):
    """What tells images from others.

    Attributes:
        images: Their number.
        sha256: Of their labels and of the names of their files without folders, which may be moved.
    """

    images: int
    sha256: str


def stamp_of(source: ImageSource) -> Stamp:
    """Return what tells images from others, without opening a file."""
    names = "\n".join(str(path).rpartition("/")[2] for path in source.paths)
    found = hashlib.sha256(np.ascontiguousarray(source.labels).tobytes())
    found.update(names.encode("utf-8", "surrogatepass"))
    return {"images": len(source), "sha256": found.hexdigest()}


def warn_of_changes(before: Mapping[str, Stamp], now: Mapping[str, Stamp]) -> None:
    """Warn of images that are others than those of a checkpoint.

    Args:
        before: By split, as the checkpoint has it.
        now: As they are.
    """
    for split, meaning in OF_WHICH.items():
        if split in before and before[split] != now[split]:
            counts = f"{before[split]['images']:,} then, {now[split]['images']:,} now"
            warn(f"data: the {split} images are not those that the checkpoint is of ({counts}): {meaning}")
