"""Groups that the names of files give away, such as the frames of a film, which a random split would tear apart."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.inspection.descriptors import describe
from lightning_recipes.inspection.images import ImageSet
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["NameGroups", "find_name_groups"]

PATTERNS = {
    r"([^/]*[0-9])[^0-9/]+[0-9]+\.[^./]+$": "the name before its last number",
    r"([^/]*[0-9](?=[^0-9/]+[0-9]+\.[^./]+$)|[^/]+(?=\.[^./]+$))": "the name before its last number, if it has two",
    r"([^/]*[A-Za-z])[^A-Za-z0-9/]*[0-9]+\.[^./]+$": "the words before the last number",
    r"([^/_-]+)[_-][^/]*$": "what comes before the first - or _",
    r"([^/]+)/[^/]+$": "the folder that the image is in",
}
"""Regular expressions as ``data.group`` takes them, and what they find."""
LEAST_SHARE = 0.5  # of the images that are in a group with others
PAIRS = 500
FREQUENCIES = 8
TORN = 0.2  # held out, as ``data.val_fraction`` says


@dataclass(frozen=True)
class NameGroups:
    """Groups found in names.

    Attributes:
        expression: What ``--data.group`` takes.
        what: It finds.
        groups: How many, those of one image included.
        images: In a group with others.
        largest: Images in the largest.
        example: Name of a group of several.
        torn: Groups that are in several splits of the data; of data without a split, as many as a random fifth would
            tear apart on average.
        given: Whether the data bring a split.
        alike: Mean cosine between pictures of one group less that between groups of the same class; nan where too few.
        alike_low: Lower end of its 95 % interval.
    """

    expression: str
    what: str
    groups: int
    images: int
    largest: int
    example: str
    torn: int
    given: bool
    alike: float
    alike_low: float

    @property
    def shown(self) -> bool:
        """Whether pictures of a group look alike by more than chance."""
        return self.alike_low > 0.02

    def as_dict(self) -> dict[str, Any]:
        """Return it as a mapping, numbers rounded."""
        numbers = {name: round(float(getattr(self, name)), 4) for name in ("alike", "alike_low")}
        return {**self.__dict__, **numbers, "look_alike": self.shown}


def find_name_groups(images: ImageSet) -> NameGroups | None:
    """Return the groups that names give away, by the pattern whose groups look most alike; None where there are none.

    A pattern counts where it finds something in every name, puts half of the images or more into groups with others,
    and gives every class several groups.
    """
    found = []
    for expression, what in PATTERNS.items():
        matches = [re.search(expression, path) for path in images.paths]
        names = [match[1] for match in matches if match]
        if len(names) == len(images) and _is_grouping(names, images):
            found.append(_of(expression, what, names, images))
    return max(found, key=lambda one: (one.shown, np.nan_to_num(one.alike, nan=-1.0), one.images), default=None)


def _is_grouping(names: Sequence[str], images: ImageSet) -> bool:
    sizes = Counter(names)
    shared = sum(size for size in sizes.values() if size > 1)
    if shared < LEAST_SHARE * len(images):
        return False
    pairs = set(zip(names, images.labels.tolist(), strict=True))
    per_class = Counter(label for _, label in pairs)
    several = Counter(label for name, label in pairs if sizes[name] > 1)
    # Names that are numbered anew in each class and split are of no group: `ants/7.jpg` and `bees/7.jpg`.
    mixed = len(pairs) > 1.5 * len(sizes)
    return not mixed and all(per_class[label] > 1 and several[label] > 0 for label in np.unique(images.labels).tolist())


def _of(expression: str, what: str, names: Sequence[str], images: ImageSet) -> NameGroups:
    sizes = Counter(names)
    several = [name for name, size in sizes.items() if size > 1]
    number = {name: i for i, name in enumerate(sizes)}
    group = np.array([number[name] for name in names], np.int64)
    given = len(images.splits) > 1
    if given:
        splits = Counter(name for name, _ in set(zip(names, images.split.tolist(), strict=True)))
        torn = sum(count > 1 for count in splits.values())
    else:
        torn = round(sum(1 - (1 - TORN) ** sizes[name] - TORN ** sizes[name] for name in several))
    alike, low = _likeness(images, group)
    images_in = sum(sizes[name] for name in several)
    return NameGroups(expression, what, len(sizes), images_in, max(sizes.values()), several[0], torn, given, alike, low)


def _likeness(images: ImageSet, group: NDArray[np.int64]) -> tuple[float, float]:
    """How much more alike two pictures of a group are than two of a class, and the lower end of the interval."""
    generator = numpy_generator_for("inspection names", seed=0)
    order = images.decoded[np.lexsort((images.decoded, group[images.decoded]))]
    beside = np.flatnonzero(group[order[1:]] == group[order[:-1]])
    if len(beside) < 5:
        return float("nan"), float("nan")
    drawn = np.sort(generator.permutation(beside)[:PAIRS])
    first, second = order[drawn], order[drawn + 1]
    others = np.array([_other(images, group, int(place), generator) for place in first])
    views = [describe(images.records["grey"][places], FREQUENCIES) for places in (first, second, others)]
    gain = (views[0] * (views[1] - views[2])).sum(axis=1)
    half = 1.96 * float(gain.std(ddof=1)) / len(gain) ** 0.5
    return float(gain.mean()), float(gain.mean()) - half


def _other(images: ImageSet, group: NDArray[np.int64], place: int, generator: np.random.Generator) -> int:
    """A picture of the same class and another group."""
    same = images.labels[images.decoded] == images.labels[place]
    fitting = images.decoded[same & (group[images.decoded] != group[place])]
    return int(generator.choice(fitting if len(fitting) else images.decoded))
