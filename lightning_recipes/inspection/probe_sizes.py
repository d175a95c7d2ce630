"""How much downsampling the data stand: a linear classifier on frozen features, at several sizes of the images."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_recipes.evaluation.intervals import paired_difference, wilson_interval
from lightning_recipes.evaluation.out_of_fold import fitted_folds

__all__ = ["probe_sizes", "sizes_below"]

STEP = 32  # pixels that a step of the deepest layers of most backbones spans
FOLDS = 5
LOSS = 0.02
"""What a smaller size may lose against the largest, by the lower end of the interval of the difference."""


def sizes_below(largest: int) -> list[int]:
    """Return a quarter, a half and three quarters of a size in pixels, in whole steps, and the size.

    Example:
        >>> sizes_below(224)
        [64, 128, 192, 224]
    """
    parts = (max(STEP, -(-largest * quarters // (4 * STEP)) * STEP) for quarters in (1, 2, 3))
    return sorted({size for size in parts if size < largest} | {largest})


def probe_sizes(
    features: Callable[[int], NDArray[np.float32]], labels: NDArray[np.int64], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Return accuracy with its 95 % interval at each size, smallest first; ``enough``: loses less than two points.

    Args:
        features: From a size in pixels to features (M, F).
        labels: (M,); each class has five or more.
        sizes: In pixels, ascending; the last is what the others are compared with.
    """
    right = [_right(features(size), labels) for size in sizes]
    rows = []
    for size, told in zip(sizes, right, strict=True):
        low, high = wilson_interval(int(told.sum()), len(told))
        mean, half = paired_difference(told.astype(float) - right[-1])
        row = {"size": size, "images": len(told), "accuracy": round(float(told.mean()), 4), "low": round(low, 4)}
        rows.append({**row, "high": round(high, 4), "enough": size == sizes[-1] or mean - half >= -LOSS})
    return rows


def _right(features: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    right = np.zeros(len(labels), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a solver that stops early
        x = features.astype(np.float64)
        for test, model in fitted_folds(torch.from_numpy(features), torch.from_numpy(labels), folds=FOLDS):
            right[test] = model.predict(x[test]) == labels[test]
    return right
