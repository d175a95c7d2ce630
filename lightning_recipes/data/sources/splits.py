"""Drawing a validation set and a few labelled images a class: a function of the split seed and the names alone."""

import numbers
from collections.abc import Sequence

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from lightning_recipes.data.sources.iterative_split import every_class_on_both_sides, iterative_split
from lightning_recipes.data.sources.labels import several
from lightning_recipes.data.sources.source import ImageSource, Subset
from lightning_recipes.errors import UserError, first_few, refuse_bad_values
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["by_name", "few_per_class", "refuse_draw", "stratified_split"]


def refuse_draw(
    val_fraction: float, split_seed: int, images_per_class: int | None = None, folds: int | None = None, fold: int = 0
) -> None:
    """Refuse values with which no images can be drawn, whatever the data.

    Raises:
        UserError: A share outside of (0, 1), a negative seed, no image a class, or a fold that there is not; or what is
            no number.
    """
    share = _is_number(val_fraction, numbers.Real) and 0 < val_fraction < 1
    seed = _is_number(split_seed, numbers.Integral) and split_seed >= 0
    some = images_per_class is None or (_is_number(images_per_class, numbers.Integral) and images_per_class >= 1)
    several_folds = folds is None or (_is_number(folds, numbers.Integral) and folds >= 2)
    known = _is_number(fold, numbers.Integral) and 0 <= fold < (folds or 1)
    which = (
        f"a whole number from 0 to {folds - 1}" if folds else "of use alone; give data.folds too, how many there are"
    )
    refuse_bad_values(
        "data",
        ("val_fraction", val_fraction, share, "a share between 0 and 1; give one such as 0.2, or leave it out"),
        ("split_seed", split_seed, seed, "a whole number >= 0; give one such as 0"),
        ("folds", folds, several_folds, "a whole number >= 2; leave it out for no cross-validation"),
        ("fold", fold, known, which),
        ("images_per_class", images_per_class, some, "a whole number >= 1; leave it out for all"),
    )


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def stratified_split(source: ImageSource, val_fraction: float, split_seed: int) -> tuple[Subset, Subset]:
    """Split into training and validation images, of each class the same share.

    Args:
        source: All images.
        val_fraction: Share of each class for validation, in (0, 1), rounded to whole images.
        split_seed: Seed of the draw.

    Raises:
        UserError: The share is out of range, or leaves a class without an image on either side.
    """
    refuse_draw(val_fraction, split_seed)
    generator = numpy_generator_for("val_fraction", seed=split_seed)
    if several(source.labels):
        return _split_of_several(source, val_fraction, generator)
    train, val = [], []
    for label, members in _members(source):
        drawn = generator.permutation(members)
        count = round(len(drawn) * val_fraction)
        _refuse_empty(source.classes[label], val_fraction, len(drawn) - count, count)
        val.append(drawn[:count])
        train.append(drawn[count:])
    return Subset(source, np.sort(np.concatenate(train))), Subset(source, np.sort(np.concatenate(val)))


def _split_of_several(
    source: ImageSource, val_fraction: float, generator: np.random.Generator
) -> tuple[Subset, Subset]:
    order, labels = by_name(source), np.asarray(source.labels, dtype=np.uint8)
    parts = iterative_split(labels[order], val_fraction, generator)
    train, val = (np.sort(order[part]) for part in every_class_on_both_sides(labels[order], *parts))
    if not len(val) or not len(train):
        side = "validation" if not len(val) else "training"
        raise UserError(f"data.val_fraction: {val_fraction} of {len(labels)} images leaves none for {side}; give more")
    rare = [f"'{name}'" for name, seen in zip(source.classes, labels[val].sum(axis=0), strict=True) if not seen]
    if rare:
        some = first_few(rare)
        rank_zero_warn(f"data.val_fraction: too few images have {some} for one in validation: nothing is said of it")
    return Subset(source, train), Subset(source, val)


def _refuse_empty(name: str, val_fraction: float, train: int, val: int) -> None:
    if 0 in (train, val):
        side = "validation" if val == 0 else "training"
        raise UserError(
            f"data.val_fraction: {val_fraction} of the {train + val} images of class '{name}' leaves none for {side}; "
            "give another share, or more images"
        )


def few_per_class(source: ImageSource, images_per_class: int, split_seed: int) -> Subset:
    """Keep so many images of each class, drawn at random.

    Raises:
        UserError: A class has fewer.
    """
    if several(source.labels):
        raise UserError("data.images_per_class: images have several labels each; leave it out")
    generator = numpy_generator_for("images_per_class", seed=split_seed)
    kept = []
    for label, members in _members(source):
        if len(members) < images_per_class:
            raise UserError(
                f"data.images_per_class: {images_per_class} asked for, class '{source.classes[label]}' has "
                f"{len(members)} for training; give at most the size of the smallest class, or leave it out for all"
            )
        kept.append(generator.permutation(members)[:images_per_class])
    return Subset(source, np.sort(np.concatenate(kept)))


def _members(source: ImageSource) -> Sequence[tuple[int, NDArray[np.int64]]]:
    """Return the positions of each class's images, ordered by name, so that no file system's order shows."""
    labels, order = np.asarray(source.labels), by_name(source)
    return [(label, order[labels[order] == label]) for label in range(len(source.classes))]


def by_name(source: ImageSource) -> NDArray[np.int64]:
    """Return the positions of all images, ordered by name, so that no file system's order shows."""
    paths = list(source.paths)
    return np.array(sorted(range(len(paths)), key=paths.__getitem__), dtype=np.int64)
