"""Which split an image goes to, and what it is kept together with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_recipes.data.sources.files import FileSource, FileTree
from lightning_recipes.data.sources.groups import draw_validation
from lightning_recipes.errors import UserError, first_few
from lightning_recipes.preparation.copies import connected
from lightning_recipes.preparation.images import Decision

__all__ = ["Shares", "draw_splits", "name_units", "said_of_torn", "torn_units"]


@dataclass(frozen=True)
class Shares:
    """How much is drawn for what.

    Attributes:
        val: Share of the images for validation; None: none is drawn.
        test: Share for test; 0: none is drawn.
        seed: Of the draw.
    """

    val: float | None
    test: float
    seed: int


def name_units(decisions: Sequence[Decision], pairs: Sequence[tuple[int, int]]) -> list[Decision]:
    """Name what belongs together: images of one group, or of one picture, and whatever is tied to it by either.

    A unit is called as the first of its groups, or where there are none as the first of its images. Where no two images
    belong together, and there are no groups, none gets a name.

    Args:
        decisions: All; those of images that are dropped stay as they are.
        pairs: Places of images of one picture.
    """
    left = [place for place, one in enumerate(decisions) if one.done != "dropped"]
    kept = set(left)
    first: dict[str, int] = {}
    ties = [(first.setdefault(decisions[i].group, i), i) for i in left if decisions[i].group]
    ties += [(a, b) for a, b in pairs if a in kept and b in kept]
    if not ties:
        return list(decisions)
    number = connected(ties, len(decisions))
    names: dict[int, str] = {}
    for place in left:
        name, of = decisions[place].group or decisions[place].image.path, int(number[place])
        names[of] = min(names.get(of, name), name)
    return [
        one._replace(group=names[int(number[place])]) if place in kept else one for place, one in enumerate(decisions)
    ]


def torn_units(decisions: Sequence[Decision]) -> list[str]:
    """Return the names of units that lie in several splits, in order."""
    splits: dict[str, set[str]] = defaultdict(set)
    for one in decisions:
        if one.done != "dropped" and one.group:
            splits[one.group].add(one.split)
    return sorted(name for name, found in splits.items() if len(found) > 1)


def draw_splits(
    decisions: Sequence[Decision], drawn_from: Sequence[int], tree: FileTree, classes: Sequence[str], shares: Shares
) -> list[Decision]:
    """Draw a test and a validation set, of each class about the same share, and tear no unit apart.

    Args:
        decisions: All.
        drawn_from: Places of images that are kept; those that are not drawn are for training.
        tree: Where the files are.
        classes: Names.
        shares: How much.

    Raises:
        UserError: A class would have no image on one of the sides.
    """
    label = {name: number for number, name in enumerate(classes)}
    grouped = any(decisions[place].group for place in drawn_from)
    left = FileSource(
        tree,
        [decisions[place].image.path for place in drawn_from],
        [label[decisions[place].label] for place in drawn_from],
        classes,
        [decisions[place].group for place in drawn_from] if grouped else None,
    )
    split, places = dict.fromkeys(drawn_from, "train"), np.array(drawn_from, np.int64)
    for name, share in (("test", shares.test), ("val", (shares.val or 0.0) / (1 - shares.test))):
        if not share:
            continue
        try:
            rest, drawn = draw_validation(left, share, shares.seed, "group" if grouped else None)
        except UserError as error:
            key = "group" if any(one.image.group for one in decisions) else "split"
            raise UserError(_own_words(str(error), name, key)) from None
        split |= dict.fromkeys(places[drawn.indices].tolist(), name)
        left, places = left.keep(rest.indices.tolist()), places[rest.indices]
    return [_moved(one, split.get(place, one.split)) for place, one in enumerate(decisions)]


def _moved(one: Decision, split: str) -> Decision:
    """Put an image into a split; that it was in another is said, where it was in one."""
    said = f"was in {one.split}" if one.split and split != one.split else ""
    return one._replace(split=split, reason="; ".join(filter(None, (one.reason, said))))


def _own_words(text: str, split: str, key: str) -> str:
    """An error of the draw with the arguments of this command, and what is drawn by its name."""
    for theirs, ours in (
        ("data.group:", f"{key}:"), ("data.val_fraction:", f"{split}_fraction:"), ("data.split_seed", "split_seed"),
    ):  # fmt: skip
        text = text.replace(theirs, ours)
    return text.replace("validation", "test") if split == "test" else text


def said_of_torn(names: Sequence[str]) -> str:
    """Say which units lie in several splits."""
    return (
        f"{len(names)} groups or pictures are in several splits, such as {first_few(names, 3)}; "
        "--split new keeps each on one side"
    )
