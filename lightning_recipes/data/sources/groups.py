"""Images that belong together, such as the frames of a film or the pictures of one patient: a split keeps them so."""

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from lightning_recipes.data.sources.labels import several
from lightning_recipes.data.sources.source import ImageSource, Splits, Subset
from lightning_recipes.data.sources.splits import by_name, refuse_draw, stratified_split
from lightning_recipes.errors import UserError, first_few
from lightning_recipes.randomness import seed_for

__all__ = ["draw_validation", "groups_of", "refuse_missing", "warn_of_torn_groups"]

MOST_FOLDS = 10
"""Of which some are held out, so that a share is met to a twentieth."""


def draw_validation(
    source: ImageSource, val_fraction: float, split_seed: int, group: str | None = None
) -> tuple[Subset, Subset]:
    """Split into training and validation images, of each class about the same share, without tearing a group apart.

    Args:
        source: All images.
        val_fraction: Share for validation, in (0, 1); with groups, as nearly as some of at most ten folds come to it.
        split_seed: Seed of the draw.
        group: As for :func:`groups_of`; None: every image is on its own.

    Raises:
        UserError: A class would have no image on one of the sides.
    """
    if group is None:
        return stratified_split(source, val_fraction, split_seed)
    refuse_draw(val_fraction, split_seed)
    order = by_name(source)
    names = np.asarray(groups_of(source, group))[order]
    labels = np.asarray(source.labels)[order]
    seed = seed_for("group", seed=split_seed) % 2**32
    train, val = _drawn(labels, names, val_fraction, seed)
    refuse_missing(source, labels, names, train, val)
    return Subset(source, np.sort(order[train])), Subset(source, np.sort(order[val]))


def _drawn(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    if several(labels):  # which no folds of scikit-learn's stratify
        splitter = GroupShuffleSplit(1, test_size=share, random_state=seed)
        train, val = next(splitter.split(labels, groups=groups))
        return train, val
    most = min(MOST_FOLDS, len(np.unique(groups)))
    if most < 2:
        raise UserError(f"data.group: all {len(labels)} images are of one group; name a finer one, or leave it out")
    most = max(2, min(most, int(np.bincount(labels).max())))  # scikit-learn has no more folds than images of a class
    nearest = min(max(Fraction(share).limit_denominator(most), Fraction(1, most)), Fraction(most - 1, most))
    splitter = StratifiedGroupKFold(nearest.denominator, shuffle=True, random_state=seed)
    held_out = [val for _, val in islice(splitter.split(labels, labels, groups), nearest.numerator)]
    val = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), val), val


def groups_of(source: ImageSource, group: str) -> Sequence[str]:
    """Return the group of each image.

    Args:
        source: Of a CSV file that has such a column, its values count; of any other, the names.
        group: The column, or a regular expression: what its first brackets hold in a name is the group; without
            brackets, what it finds.

    Raises:
        UserError: It is no regular expression, or finds nothing in a name, or its brackets hold nothing.
    """
    own: Sequence[str] | None = getattr(source, "groups", None)
    if own is not None:
        return own
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UserError(f"data.group: '{group}' is no regular expression ({error}), nor a column of a .csv") from None
    matches = (pattern.search(path) for path in source.paths)
    found = [None if match is None else match[1 if pattern.groups else 0] for match in matches]
    if missing := [path for path, one in zip(source.paths, found, strict=True) if not one]:
        some = f"{len(missing)} of {len(found)} names, such as '{missing[0]}'"
        raise UserError(
            f"data.group: '{group}' finds nothing in {some}; give one that finds a part of each, such as "
            "'([^/]*)_[0-9]+'"
        )
    return [one for one in found if one]


def warn_of_torn_groups(splits: Splits, group: str) -> None:
    """Say which groups are on both sides of a split that the data brings along."""
    train = set(groups_of(splits.train, group))
    for name, part in (("validation", splits.val), ("test", splits.test)):
        torn = sorted(train & set(groups_of(part, group))) if part is not None else []
        if torn:
            rank_zero_warn(
                f"data.group: {len(torn)} groups are in training and in {name}, such as {first_few(torn, 3)}: what is "
                "measured there is better than on pictures of other groups"
            )


def refuse_missing(
    source: ImageSource, labels: np.ndarray, groups: np.ndarray, train: np.ndarray, val: np.ndarray
) -> None:
    """Refuse a split of groups that leaves a class without images on one side; with several labels an image, none is.

    Args:
        source: All images.
        labels: Of them, in some order.
        groups: Likewise.
        train: Positions in that order.
        val: Likewise.

    Raises:
        UserError: Names the class and how many groups it has.
    """
    if several(labels):
        return
    for label, name in enumerate(source.classes):
        for side, part in (("training", train), ("validation", val)):
            if label not in labels[part]:
                count = len(np.unique(groups[labels == label]))
                if count == 1:
                    raise UserError(f"data.group: class '{name}' is all one group; it needs two, one for each side")
                raise UserError(
                    f"data.group: of the {count} groups of class '{name}' none is left for {side}; give another "
                    "data.split_seed"
                )
