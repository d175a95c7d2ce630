"""Labels as arrays: (N,) positions of classes, or (N, C) of 0 and 1 where an image may have several."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Labels", "class_counts", "label_tensor", "several", "strata"]

Labels = Sequence[int] | NDArray[np.int64] | NDArray[np.uint8]


def several(labels: Labels) -> bool:
    """Tell whether an image may have several labels."""
    return np.ndim(labels) == 2


def class_counts(labels: Labels, num_classes: int) -> list[int]:
    """Return how many images have each class.

    Example:
        >>> class_counts([0, 2, 2], 3), class_counts(np.array([[1, 1, 0], [0, 1, 0]], np.uint8), 3)
        ([1, 0, 2], [1, 2, 0])
    """
    array = np.asarray(labels)
    counts = array.sum(axis=0, dtype=np.int64) if array.ndim == 2 else np.bincount(array, minlength=num_classes)
    return [int(count) for count in counts]


def strata(labels: Labels) -> NDArray[np.int64]:
    """Return a number an image, the same for images of the same labels.

    Example:
        >>> strata(np.array([[1, 1], [0, 1], [1, 1]], np.uint8)).tolist()
        [1, 0, 1]
    """
    array = np.asarray(labels)
    if array.ndim == 1:
        return array.astype(np.int64)
    return np.unique(array, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def label_tensor(labels: object) -> Tensor:
    """Return labels of one image or many as a loss takes them: int64, or float32 where there may be several."""
    array = np.asarray(labels)
    return torch.as_tensor(array, dtype=torch.float32 if array.dtype == np.uint8 else torch.int64)
