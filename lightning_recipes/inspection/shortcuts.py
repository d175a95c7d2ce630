"""Whether the label can be told from what has nothing to do with what is in the picture.

Such a shortcut (Geirhos et al. 2020, "Shortcut Learning in Deep Neural Networks") is learnt first and holds no longer
in other data: classes that came from two cameras, were scaled by two programs, or photographed in two rooms.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.inspection.images import ImageSet, choose

__all__ = ["Shortcut", "cues", "find_shortcuts", "name_order"]

MOST_IMAGES = 3000
FOLDS = 5
LEAST_IMAGES = 40
TREES = 20
LARGE = 0.3
"""Share of the way from chance to certainty from which on a shortcut is warned of, by the lower end of its interval."""


@dataclass(frozen=True)
class Shortcut:
    """How well one cue alone tells the class of images that it was not fitted on.

    Attributes:
        cue: What is looked at.
        accuracy: Mean over the classes of the share that is told right.
        low: Of its 95 % interval.
        high: Likewise.
        chance: What is reached without looking, 1 / classes.
        images: That were looked at.
        warned: Shown and large: the interval is above chance by three tenths of the way to certainty.
    """

    cue: str
    accuracy: float
    low: float
    high: float
    chance: float
    images: int
    warned: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as a mapping, numbers rounded."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}


def find_shortcuts(images: ImageSet, copies: Sequence[int]) -> list[Shortcut]:
    """Return each cue that differs between images, the most telling first; none of too few images.

    By five folds of extremely randomised trees (Geurts et al. 2006) over at most 3,000 images of classes that have five
    or more.

    Args:
        images: The set.
        copies: Places to leave out: images that are the same as others, by which those would be told.
    """
    chosen = _chosen(images, copies)
    labels = images.labels[chosen]
    if len(chosen) < LEAST_IMAGES or len(np.unique(labels)) < 2:
        return []
    found = [
        _judged(cue, values, labels)
        for cue, values in cues(images, chosen).items()
        if len(np.unique(values, axis=0)) > 1
    ]
    return sorted(found, key=lambda one: -one.accuracy)


def _chosen(images: ImageSet, copies: Sequence[int]) -> NDArray[np.int64]:
    chosen = choose(images, copies, MOST_IMAGES)
    counts = np.bincount(images.labels[chosen], minlength=len(images.classes))
    return chosen[counts[images.labels[chosen]] >= FOLDS]


def cues(images: ImageSet, chosen: NDArray[np.int64]) -> Mapping[str, NDArray[np.float64]]:
    """Return what is read off each image, (M, F), by the name of the cue.

    Args:
        images: The set.
        chosen: M places.
    """
    records = images.records[chosen]
    width, height = records["width"].astype(float), records["height"].astype(float)
    colour = records["colour"].astype(float)
    notes = [images.notes[place] for place in chosen.tolist()]
    kinds = [(n.format, n.mode, PurePosixPath(images.paths[i]).suffix) for n, i in zip(notes, chosen.tolist())]
    found = {
        "file size": np.stack([records["bytes"].astype(float)], axis=1),
        "width and height": np.stack([width, height, width / height], axis=1),
        "file format": np.stack([_codes(column) for column in zip(*kinds)] + [records["bits"]], axis=1),
        "brightness": np.stack([colour.mean(axis=(1, 2, 3)), records["grey"].std(axis=(1, 2))], axis=1),
        "corner pixels": records["corners"].reshape(len(chosen), -1).astype(float),
    }
    order = name_order([images.paths[i] for i in chosen.tolist()], [images.class_of(i) for i in chosen.tolist()])
    return found if order is None else {**found, "order of file names": order[:, None].astype(float)}


def _codes(values: Sequence[str]) -> NDArray[np.float64]:
    return np.unique(np.asarray(values), return_inverse=True)[1].reshape(-1).astype(float)


def name_order(paths: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the place of each file's name among all, numbers by their value, without folders and names of classes.

    None where each class is numbered on its own, so that the order says nothing but how many it has.

    Args:
        paths: Of the files.
        classes: Of each.

    Example:
        >>> name_order(["a/img_10.jpg", "b/img_9.jpg"], ["a", "b"]).tolist()
        [1, 0]
    """
    stems = [PurePosixPath(path).stem.casefold() for path in paths]
    for name in sorted({name.casefold() for name in classes}, key=len, reverse=True):
        if len(name) > 2:
            stems = [stem.replace(name, "") for stem in stems]
    if len(Counter(stems)) < 0.9 * len(stems):
        return None
    keys = [[(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in _parts(stem)] for stem in stems]
    places = {i: rank for rank, i in enumerate(sorted(range(len(keys)), key=lambda i: (keys[i], i)))}
    return np.array([places[i] for i in range(len(keys))], np.int64)


def _parts(stem: str) -> list[str]:
    return [part for part in re.split(r"([0-9]+)", stem) if part]


def _judged(cue: str, values: NDArray[np.float64], labels: NDArray[np.int64]) -> Shortcut:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold

    right = np.zeros(len(labels), bool)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(values, labels):
        leaf = max(2, len(train) // 200)
        options = {"min_samples_leaf": leaf, "max_features": None, "class_weight": "balanced"}
        trees = ExtraTreesClassifier(TREES, **options, random_state=0)
        right[test] = trees.fit(values[train], labels[train]).predict(values[test]) == labels[test]
    classes = np.unique(labels)
    accuracy, low, high = _mean_over_classes(right, labels, classes)
    chance = 1 / len(classes)
    return Shortcut(cue, accuracy, low, high, chance, len(labels), low - chance >= LARGE * (1 - chance))


def _mean_over_classes(
    right: NDArray[np.bool_], labels: NDArray[np.int64], classes: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Mean of the classes' shares, and its interval by theirs (Zou and Donner 2008, as in ``difference_interval``)."""
    shares, below, above = [], [], []
    for label in classes:
        of = right[labels == label]
        low, high = wilson_interval(int(of.sum()), len(of))
        shares.append(of.mean())
        below.append(shares[-1] - low)
        above.append(high - shares[-1])
    mean, count = float(np.mean(shares)), len(classes)
    return mean, max(0.0, mean - float(np.linalg.norm(below)) / count), mean + float(np.linalg.norm(above)) / count
