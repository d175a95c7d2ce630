"""Cross-validation: which images are held out in which fold."""

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.data.sources.groups import groups_of, refuse_missing
from lightning_recipes.data.sources.labels import class_counts, several
from lightning_recipes.data.sources.source import ImageSource, Subset
from lightning_recipes.data.sources.splits import by_name
from lightning_recipes.errors import UserError
from lightning_recipes.randomness import seed_for

__all__ = ["draw_fold"]


def draw_fold(
    source: ImageSource, folds: int, fold: int, split_seed: int, group: str | None = None
) -> tuple[Subset, Subset]:
    """Split into training and validation images: every image is held out in one of the folds.

    Of one label an image, each fold has about the same share of each class.

    Args:
        source: All images.
        folds: How many there are, >= 2.
        fold: Which of them is held out, from 0.
        split_seed: Seed of the draw.
        group: What belongs together, as for :func:`~lightning_recipes.data.sources.groups.groups_of`.

    Raises:
        UserError: There are fewer images of a class, or fewer groups, than folds, or a fold lacks a class.
    """
    order = by_name(source)
    labels = np.asarray(source.labels)[order]
    groups = None if group is None else np.asarray(groups_of(source, group))[order]
    _refuse_few(source, folds, groups)
    train, val = _of_fold(labels, groups, folds, fold, seed_for("folds", seed=split_seed) % 2**32)
    if groups is not None:
        refuse_missing(source, labels, groups, train, val)
    return Subset(source, np.sort(order[train])), Subset(source, np.sort(order[val]))


def _of_fold(
    labels: NDArray[np.int64], groups: NDArray[np.str_] | None, folds: int, fold: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    shuffled = {"shuffle": True, "random_state": seed}
    if several(labels):
        splitter = KFold(folds, **shuffled) if groups is None else GroupKFold(folds, **shuffled)
    else:
        splitter = StratifiedKFold(folds, **shuffled) if groups is None else StratifiedGroupKFold(folds, **shuffled)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = list(splitter.split(labels, labels, groups))
    return parts[fold]


def _refuse_few(source: ImageSource, folds: int, groups: NDArray[np.str_] | None) -> None:
    labels = np.asarray(source.labels)
    if groups is not None and len(np.unique(groups)) < folds:
        raise UserError(f"data.folds: {folds} folds of {len(np.unique(groups))} groups; give fewer")
    counts = class_counts(labels, len(source.classes))
    if not several(labels) and min(counts) < folds:
        name = source.classes[counts.index(min(counts))]
        raise UserError(f"data.folds: {folds} folds, and class '{name}' has {min(counts)} images; give fewer")
