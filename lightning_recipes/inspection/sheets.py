"""Contact sheets of what was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.errors import UserError
from lightning_recipes.figures.contact_sheet import Cell, class_sheet, contact_sheet, pair_sheet
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.inspection.images import ImageSet, reader

__all__ = ["draw_sheets"]

SIDE = 192  # pixels of the longer side of a picture on a sheet
PAIRS, CELLS = 12, 18
CLASSES, OF_A_CLASS = 20, 8
PAIR_SHEETS = {
    "leaks": "The same picture in two splits",
    "label_conflicts": "The same picture in two classes",
    "exact_duplicates": "Equal to the pixel",
    "near_duplicates": "Nearly the same",
    "look_alikes": "Nearly the same to the backbone",
}
CELL_SHEETS = {"outliers": "Least like all others", "disputed_labels": "Labels that the nearest neighbours dispute"}


def draw_sheets(folder: Path, report: Mapping[str, Any], images: ImageSet, parts: Mapping[str, FileSource]) -> None:
    """Write ``figures/*.png``; a sheet of what was not found is removed.

    Args:
        folder: Of the inspection.
        report: What was found.
        images: The set.
        parts: Where its pictures are read.
    """
    pictures = _Pictures(images, parts)
    made = {name: _pairs(report[name], title, pictures) for name, title in PAIR_SHEETS.items()}
    made |= {name: _cells(report[name], title, pictures) for name, title in CELL_SHEETS.items()}
    made["classes"] = _classes(images, pictures)
    for name, figure in made.items():
        path = folder / "figures" / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            save_figure(figure, path)


class _Pictures:
    """Small pictures by their path as it is written."""

    def __init__(self, images: ImageSet, parts: Mapping[str, FileSource]) -> None:
        self.places = {images.path(place): place for place in images.decoded.tolist()}
        self.read = reader(parts, SIDE)

    def of(self, path: str) -> NDArray[np.uint8]:
        """Return (H, W, 3); grey where it cannot be read."""
        try:
            picture = Image.fromarray(self.read(self.places[path]))
        except (KeyError, UserError):  # it was there when it was measured
            return np.full((SIDE, SIDE, 3), 200, np.uint8)
        picture.thumbnail((SIDE, SIDE))
        return np.asarray(picture)


def _pairs(found: Sequence[Mapping[str, Any]], title: str, pictures: _Pictures) -> Any:
    shown = _spread(found)
    if not shown:
        return None
    pairs = []
    for one in shown:
        kind = one.get("kind") or (f"cosine {one['cosine']:.2f}" if "cosine" in one else "exact")
        (first, second), (split, other_split), (of, other) = (one[key][:2] for key in ("paths", "splits", "classes"))
        differs = [new for old, new in ((split, other_split), (of, other)) if old != new]
        note = ": ".join([*([", ".join(differs)] if differs else []), kind])
        pairs.append((Cell(pictures.of(first), first, f"{split}, {of}"), Cell(pictures.of(second), second, note)))
    return pair_sheet(pairs, title=f"{title}: {len(pairs)} of {len(found):,}")


def _spread(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Some of what was found, of each kind as many, and of each kind also the least alike."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for one in found:
        kinds.setdefault(one.get("kind", ""), []).append(one)
    each = max(1, PAIRS // max(1, len(kinds)))
    return [members[i] for members in kinds.values() for i in _steps(len(members), each)][:PAIRS]


def _steps(count: int, most: int) -> list[int]:
    return [int(step) for step in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def _cells(found: Sequence[Mapping[str, Any]], title: str, pictures: _Pictures) -> Any:
    shown = found[:CELLS]
    if not shown:
        return None
    cells = [
        Cell(
            pictures.of(one["path"]),
            one["path"],
            f"{one['times']:.1f} times as far" if "times" in one else f"{one['class']}, not {one['neighbours']}?",
        )
        for one in shown
    ]
    return contact_sheet(cells, title=f"{title}: {len(cells)} of {len(found):,}")


def _classes(images: ImageSet, pictures: _Pictures) -> Any:
    rows = []
    for label in range(min(CLASSES, len(images.classes))):
        of = images.decoded[images.labels[images.decoded] == label]
        if len(of):
            rows.append(
                (images.classes[label], [pictures.of(images.path(int(of[i]))) for i in _steps(len(of), OF_A_CLASS)])
            )
    if not rows:
        return None
    more = f": {len(rows)} of {len(images.classes):,} classes" if len(rows) < len(images.classes) else ""
    return class_sheet(rows, title=f"A sample of each class{more}")
