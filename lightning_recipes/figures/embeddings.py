"""Embeddings as a map on which each picture lies where it belongs."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.figures.class_labels import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["embedding_map", "principal_components"]

INCHES = 9.0
SIDE = 0.034  # of a picture, as a share of the map's


def principal_components(features: NDArray[np.floating]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return places (N, 2) on the two directions that features vary most along, and the share of the variance of each.

    Args:
        features: (N, F), N >= 2.
    """
    centred = np.asarray(features, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    if len(values) < 2:
        values, directions = np.append(values, 0.0), np.vstack([directions, np.zeros_like(directions[:1])])
    # Of either sign: the larger entry is to the right, or up, so that a map does not mirror from run to run.
    signs = np.sign(directions[[0, 1], np.abs(directions[:2]).argmax(axis=1)])
    total = max(float((values**2).sum()), 1e-12)
    return centred @ (directions[:2] * signs[:, None]).T, (values[0] ** 2 / total, values[1] ** 2 / total)


def embedding_map(features: NDArray[np.floating], pictures: NDArray[np.uint8], *, title: str) -> "Figure":
    """Draw each picture at its place on the two principal components of the features.

    Args:
        features: (N, F), N >= 2.
        pictures: (N, H, W, 3).
        title: Above the map.
    """
    from matplotlib.figure import Figure

    places, shares = principal_components(features)
    figure = Figure(figsize=(INCHES, INCHES), layout="constrained")
    axes = figure.subplots()
    low, high = places.min(axis=0), places.max(axis=0)
    widths = np.where(high > low, high - low, 1.0)
    half = widths * SIDE / 2
    for (x, y), picture in zip(places, pictures, strict=True):
        extent = (x - half[0], x + half[0], y - half[1], y + half[1])
        axes.imshow(picture, extent=extent, aspect="auto", interpolation="nearest")
    axes.set_xlim(low[0] - 2 * half[0], low[0] + widths[0] + 2 * half[0])
    axes.set_ylim(low[1] - 2 * half[1], low[1] + widths[1] + 2 * half[1])
    for name, axis, share in (("first", axes.xaxis, shares[0]), ("second", axes.yaxis, shares[1])):
        axis.set_label_text(f"{name} principal component, {share:.0%} of the variance")
        axis.set_ticks([])
    axes.set_title(plain(title), loc="left", fontsize=11)
    return figure
