"""What a backbone sees in a set of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lightning_recipes.data.sources.files import FileTree
from lightning_recipes.data.sources.progress import Progress
from lightning_recipes.inspection.embeddings import Embedder
from lightning_recipes.inspection.images import ImageSet, choose
from lightning_recipes.inspection.neighbours import (
    close_classes,
    disputed,
    how_many,
    label_noise,
    look_alikes,
    nearest,
    outliers,
)
from lightning_recipes.inspection.probe_sizes import FOLDS, probe_sizes, sizes_below

__all__ = ["NOTHING", "look_with"]

MOST_PROBED = 2000
LEAST = 20  # images
NOTHING: dict[str, Any] = {
    "embedded_images": 0, "outliers": [], "look_alikes": [], "close_classes": [], "disputed_labels": [],
    "label_noise": [], "linear_probe": [],
}  # fmt: skip


def look_with(
    embedder: Embedder, tree: FileTree, images: ImageSet, copies: Sequence[int], most: int, progress: Progress
) -> dict[str, Any]:
    """Return what ``inspect.json`` says of features.

    Args:
        embedder: The backbone.
        tree: Where the images are.
        images: The set.
        copies: Places to leave out: images that are the same as others, which would be their nearest neighbours.
        most: Images that are looked at, drawn of each class alike.
        progress: Told now and then.
    """
    chosen = choose(images, copies, most)
    if len(chosen) < LEAST:
        return {**NOTHING, "embedded_images": len(chosen)}
    paths = [images.paths[place] for place in chosen.tolist()]
    labels = images.labels[chosen]
    found = nearest(embedder.features(tree, paths, progress), how_many(len(chosen), len(images.classes)))
    doubted = disputed(found, labels, len(images.classes))

    def named(row: int, **more: Any) -> dict[str, Any]:
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in more.items()}
        return images.named(int(chosen[row]), **rounded)

    return {
        "embedded_images": len(chosen),
        "outliers": [named(row, times=times, deviations=by) for row, times, by in outliers(found)],
        "look_alikes": [
            {**images.named_together(int(chosen[row]) for row in pair), "cosine": round(cosine, 4)}
            for *pair, cosine in look_alikes(found)
        ],
        "close_classes": close_classes(found, labels, images.classes),
        "disputed_labels": [named(row, neighbours=images.classes[other], share=share) for row, other, share in doubted],
        "label_noise": label_noise(doubted, labels, images.classes),
        "linear_probe": _probed(embedder, tree, images, copies, progress),
    }


def _probed(
    embedder: Embedder, tree: FileTree, images: ImageSet, copies: Sequence[int], progress: Progress
) -> list[dict[str, Any]]:
    chosen = choose(images, copies, MOST_PROBED)
    counts = np.bincount(images.labels[chosen], minlength=len(images.classes))
    chosen = chosen[counts[images.labels[chosen]] >= FOLDS]
    labels = images.labels[chosen]
    if len(np.unique(labels)) < 2:
        return []
    paths = [images.paths[place] for place in chosen.tolist()]
    return probe_sizes(
        lambda size: embedder.features(tree, paths, progress, size=size, does=f"Probing {size} px"),
        labels,
        sizes_below(embedder.input.image_size),
    )
