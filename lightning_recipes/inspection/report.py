"""``inspect.json``: what was found of a set of images, with the paths of what it was found in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lightning_recipes.input_config import MIN_IMAGE_SIZE
from lightning_recipes.inspection.duplicates import Duplicates, Pair
from lightning_recipes.inspection.findings import findings
from lightning_recipes.inspection.images import ImageSet
from lightning_recipes.inspection.names import NameGroups
from lightning_recipes.inspection.overview import class_counts, cut_by_crop, formats, quantiles, sizes
from lightning_recipes.inspection.remarks import tiny_side
from lightning_recipes.inspection.shortcuts import Shortcut

__all__ = ["make_report"]


def make_report(
    data: str,
    images: ImageSet,
    duplicates: Duplicates,
    shortcuts: Sequence[Shortcut],
    groups: NameGroups | None,
    seen: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what ``inspect.json`` holds, but for how long it took.

    Args:
        data: Where the images are.
        images: All of them.
        duplicates: Those that are there twice.
        shortcuts: What tells the class.
        groups: That names give away.
        seen: What a backbone saw; see :func:`lightning_recipes.inspection.seen.look_with`.
    """
    report: dict[str, Any] = {
        "data": data,
        "images": len(images),
        "splits": dict(zip(images.splits, np.bincount(images.split, minlength=len(images.splits)).tolist())),
        "classes": class_counts(images),
        **formats(images),
        "sizes": sizes(images),
        "centre_crop": quantiles(cut_by_crop(images)),
        "corrupt": [images.named(i, what=images.notes[i].fault) for i in range(len(images)) if images.notes[i].fault],
        "suspicious": _suspicious(images),
        "exact_duplicates": [images.named_together(group) for group in duplicates.exact],
        "near_duplicates": [_pair(images, pair) for pair in duplicates.near],
        "duplicates_complete": duplicates.complete,
        "leaks": _pairs(images, duplicates.across(images.split)),
        "label_conflicts": _pairs(images, duplicates.across(images.labels)),
        "shortcuts": [one.as_dict() for one in shortcuts],
        "groups": None if groups is None else groups.as_dict(),
        **seen,
    }
    report["findings"] = [one._asdict() for one in findings(report)]
    return report


def _pair(images: ImageSet, pair: Pair) -> dict[str, Any]:
    return {**images.named_together(pair.places), "kind": pair.kind, "correlation": pair.correlation}


def _pairs(images: ImageSet, pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    return [_pair(images, pair) for pair in sorted(pairs, key=lambda one: (-one.correlation, one.places))]


def _suspicious(images: ImageSet) -> list[dict[str, Any]]:
    """Files that can be read and are unusual, each with its kind."""
    found = [
        images.named(place, kind=remark.kind, what=remark.what)
        for place in images.whole.tolist()
        for remark in images.notes[place].remarks
    ]
    sides = np.minimum(images.records["width"][images.whole], images.records["height"][images.whole])
    if len(sides):
        least = tiny_side(sides, MIN_IMAGE_SIZE)
        for place, side in zip(images.whole[sides < least].tolist(), sides[sides < least].tolist(), strict=True):
            what = f"{side} px, an eighth of the usual {np.median(sides):.0f} px or less"
            found.append(images.named(place, kind="tiny", what=what))
    return found
