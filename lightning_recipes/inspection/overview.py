"""How many images there are of what: classes and splits, sizes, formats, and what a crop to a square throws away."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.images import ImageSet

__all__ = ["class_counts", "cut_by_crop", "formats", "quantiles", "sizes"]

QUANTILES = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "most": 1.0}


def class_counts(images: ImageSet) -> list[dict[str, Any]]:
    """Return name, images and images of each split, class by class."""
    counts = np.zeros((len(images.classes), len(images.splits)), np.int64)
    np.add.at(counts, (images.labels, images.split), 1)
    return [
        {"name": name, "images": int(row.sum()), **dict(zip(images.splits, row.tolist(), strict=True))}
        for name, row in zip(images.classes, counts, strict=True)
    ]


def formats(images: ImageSet) -> dict[str, dict[str, int]]:
    """Return how many readable images are of each format, mode (as Pillow calls them) and bits a channel."""
    notes, bits = [images.notes[place] for place in images.whole.tolist()], images.records["bits"][images.whole]
    counted = {
        "formats": Counter(note.format for note in notes),
        "modes": Counter(note.mode for note in notes),
        "bits": Counter(str(value) for value in bits.tolist()),
    }
    return {name: dict(sorted(count.items(), key=lambda item: (-item[1], item[0]))) for name, count in counted.items()}


def sizes(images: ImageSet) -> dict[str, dict[str, float]]:
    """Return quantiles of width, height and shorter side in pixels, of the aspect ratio, and of bytes a file."""
    width, height, count = (images.records[name][images.whole].astype(float) for name in ("width", "height", "bytes"))
    columns = {
        "width": width, "height": height, "shorter_side": np.minimum(width, height),
        "aspect_ratio": width / np.maximum(height, 1), "bytes": count,
    }  # fmt: skip
    return {name: quantiles(values) for name, values in columns.items()}


def quantiles(values: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return the least, the 5 % quantile, the median, the 95 % quantile and the most; of nothing nothing."""
    return {name: round(float(np.quantile(values, at)), 4) for name, at in QUANTILES.items()} if len(values) else {}


def cut_by_crop(images: ImageSet) -> NDArray[np.float64]:
    """Return the share of each readable picture, (N',), that a centre crop to a square throws away."""
    sides = np.stack([images.records[name][images.whole] for name in ("width", "height")]).astype(float)
    return np.asarray(1 - sides.min(axis=0) / np.maximum(sides.max(axis=0), 1))
