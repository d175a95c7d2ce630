"""Pictures that are trained on and are the same files as some that are held out."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lightning_recipes.data.sources.content import content_hashes, file_of, pixel_hashes
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.remarks import warn
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.errors import UserError

__all__ = ["copies_of", "refuse_leaks"]

MOST_DECODED = 20_000
"""Held-out images without files that are compared by their pixels: to decode more takes longer than to begin a run."""


class Leak(NamedTuple):
    """An extra picture and the held-out image that it is, by position."""

    extra: int
    held_out: int


def refuse_leaks(extra: FileSource, key: str, held_out: Mapping[str, ImageSource | None]) -> None:
    """Refuse pictures that are the same, byte for byte, as one that is held out.

    Files of the same size alone are read. Held-out images that are no files, such as those of a data set known by
    name, are compared as they are decoded.

    Args:
        extra: The pictures.
        key: Of the recipe, for the error.
        held_out: By what they are called in the error; None for a split that there is not.

    Raises:
        UserError: Names the first two, and how many there are.
    """
    for split, source in held_out.items():
        leaks = [] if source is None else _leaks(extra, source, key, split)
        if leaks and source is not None:
            ours, theirs = leaks[0]
            many = f" ({len(leaks)} such)" if len(leaks) > 1 else ""
            raise UserError(
                f"{key}: '{_name(extra, ours)}' is the same picture as '{_name(source, theirs)}' of {split}{many}; "
                "take it out of the extra ones: what is judged must not be trained on"
            )


def copies_of(extra: FileSource, key: str, held_out: Mapping[str, ImageSource | None]) -> list[int]:
    """Return the positions of pictures that are the same as one that is held out; arguments as above."""
    found = (_leaks(extra, source, key, split) for split, source in held_out.items() if source is not None)
    return sorted({leak.extra for leaks in found for leak in leaks})


def _leaks(extra: FileSource, held_out: ImageSource, key: str, split: str) -> list[Leak]:
    if file_of(held_out, 0) is not None:
        ours, theirs = _sizes(extra), _sizes(held_out)
        shared = set(ours) & set(theirs) - {""}
        places, others = ([i for i, size in enumerate(sizes) if size in shared] for sizes in (ours, theirs))
        return _alike(places, content_hashes(extra, places), others, content_hashes(held_out, others))
    if len(held_out) > MOST_DECODED:
        warn(f"{key}: not compared with the {len(held_out):,} images of {split}, which are no files; see that none is")
        return []
    all_ours, all_theirs, extra = range(len(extra)), range(len(held_out)), _as_decoded(extra, held_out)
    return _alike(all_ours, pixel_hashes(extra, all_ours), all_theirs, pixel_hashes(held_out, all_theirs))


def _as_decoded(extra: FileSource, held_out: ImageSource) -> FileSource:
    """Return the pictures with as many channels as the others are decoded with, whatever the run makes of both."""
    alike = copy.copy(extra)
    try:
        alike.channels = held_out.read(0).shape[2]
    except Exception:  # a source may be anybody's: one that fails here is named where it is judged
        return extra
    return alike


def _alike(ours: Sequence[int], hashes: Sequence[str], theirs: Sequence[int], others: Sequence[str]) -> list[Leak]:
    held_out = {one: place for place, one in zip(theirs, others, strict=True) if one}
    return [Leak(place, held_out[one]) for place, one in zip(ours, hashes, strict=True) if one in held_out]


def _sizes(source: ImageSource) -> list[str]:
    """Return the sizes of files in bytes, as their stamps begin with; empty where one cannot be read."""
    files = (file_of(source, index) for index in range(len(source)))
    return ["" if one is None else one[0].tree.stamp(one[0].paths[one[1]]).partition("-")[0] for one in files]


def _name(source: ImageSource, index: int) -> str:
    found = file_of(source, index)
    return str(source.paths[index]) if found is None else os.path.join(found[0].tree.root, found[0].paths[found[1]])
