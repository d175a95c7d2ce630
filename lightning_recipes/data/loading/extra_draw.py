"""Which extra images come in an epoch, and how often: a function of their labels, their weight and a generator."""

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_recipes.data.sources.labels import Labels, several
from lightning_recipes.data.sources.real_and_extra import comes_in_an_epoch

__all__ = ["draw_extra"]


def draw_extra(labels: Labels, weight: float, generator: torch.Generator | None = None) -> NDArray[np.int64]:
    """Return positions of extra images as often as each comes in an epoch; how many of a class is always the same.

    Every image comes ``floor(weight)`` times or once more. Which ones do is drawn within each class, so that epochs of
    balanced classes are all of one length; within the whole, where an image may have several labels.

    Args:
        labels: One label an extra image, or (N, C) of 0 and 1.
        weight: How often each comes on average, > 0; rounded to whole images of a class, of which one comes at least.
        generator: Consumed by one permutation a class (default: nothing is drawn, and the first ones are taken).

    Example:
        >>> draw_extra([0, 0, 1, 1], 0.5).tolist(), draw_extra([0, 0, 1], 2.0).tolist()
        ([0, 2], [0, 1, 0, 1, 2, 2])
    """
    array = np.asarray(labels)
    classes = np.zeros(len(array), np.int64) if several(labels) else array
    drawn = [np.empty(0, np.int64)]
    for members in (np.flatnonzero(classes == one) for one in np.unique(classes)):
        if generator is not None:
            members = members[torch.randperm(len(members), generator=generator).numpy()]
        drawn.append(np.resize(members, comes_in_an_epoch(len(members), weight)))  # again from the front
    return np.concatenate(drawn)
