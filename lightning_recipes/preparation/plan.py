"""What becomes of each image, from what is known of all of them; no file is read or written."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lightning_recipes.errors import UserError
from lightning_recipes.preparation.copies import best_of, groups_of_copies, how_copied
from lightning_recipes.preparation.images import Cause, Decision, Image, Mending
from lightning_recipes.preparation.inspection_file import Tie

__all__ = ["Known", "Plan", "decide", "refuse_empty_classes"]

KEYS = {
    "label": ("label_issues", "take some off the list"),
    "unreadable": ("on_bad_image", "mend some of its files, or remove the class"),
    "conflict": ("conflicts", "mend its labels, or give conflicts keep"),
    "duplicate": ("duplicates", "give split new, or duplicates keep"),
}
"""The argument that images are dropped by, and what to do where too many are."""


@dataclass(frozen=True)
class Known:
    """What is known of a list of images; images by their places in it.

    Attributes:
        images: All of the data.
        faults: Why a file cannot be read, of those that cannot.
        mendings: How a file is mended, of those that are.
        suggested: The class that a list of wrong labels suggests, by path.
        issues: Whether images of that list are dropped or given that class.
        copies: Pairs of one picture.
        pixels: From a place to width times height.
    """

    images: Sequence[Image]
    faults: Mapping[int, str] = field(default_factory=dict)
    mendings: Mapping[int, Mending] = field(default_factory=dict)
    suggested: Mapping[str, str] = field(default_factory=dict)
    issues: Literal["drop", "relabel"] = "drop"
    copies: Sequence[Tie] = ()
    pixels: Callable[[int], int] = lambda place: 0


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        decisions: One an image of the data, by split and name.
        paths: Of each in the folder that is made; empty where it is dropped.
        places: Of each in the data.
        classes: Names.
        splits: That the data bring; none where they are not split.
        notes: What else there is to know, in sentences without a full stop.
        out: The folder that is made.
    """

    decisions: Sequence[Decision]
    paths: Sequence[str]
    places: Sequence[int]
    classes: Sequence[str]
    splits: Sequence[str]
    notes: Sequence[str]
    out: Path


def decide(
    known: Known, *, duplicates: Literal["drop", "keep"], conflicts: Literal["drop", "keep"], judged_first: bool
) -> list[Decision]:
    """Return what becomes of each image, in their order; splits and groups are as in the data.

    First what cannot be read goes, then what the list of wrong labels says, then pictures of several labels, and of
    what is left the copies: so an image that is taken out for another reason is never the copy that is kept.

    Args:
        known: Of the images.
        duplicates: ``drop`` keeps one of the copies of one label.
        conflicts: ``drop`` takes out all copies of a picture that has several labels.
        judged_first: Of copies keep the one of test, or else of val, before one of train.
    """
    made = [_alone(known, place) for place in range(len(known.images))]
    words = how_copied(known.copies)
    for group in groups_of_copies(known.copies, len(known.images)):
        label = {place: made[place].label for place in group if made[place].done != "dropped"}
        if len(set(label.values())) > 1 and conflicts == "drop":
            first = {name: place for place, name in reversed(label.items())}
            for place in label:
                other = next(one for name, one in first.items() if name != label[place])
                said = f"labelled '{label[other]}' as {known.images[other].path} ({words(place, other)})"
                made[place] = _dropped(made[place], "conflict", said)
        elif duplicates == "drop":
            for name in sorted(set(label.values())):
                same = [place for place in label if label[place] == name]
                kept = best_of(same, known.images, known.pixels, judged_first=judged_first)
                for place in (one for one in same if one != kept):
                    said = f"copy of {known.images[kept].path} ({words(place, kept)})"
                    made[place] = _dropped(made[place], "duplicate", said)
    return made


def _alone(known: Known, place: int) -> Decision:
    """What becomes of an image whatever the others are."""
    image, how = known.images[place], known.mendings.get(place)
    decision = Decision(image, "kept", label=image.label, split=image.split, group=image.group)
    if place in known.faults and how is None:
        return _dropped(decision, "unreadable", known.faults[place])
    if how is not None:
        decision = decision._replace(done="repaired", reason=how.what, suffix=how.suffix)
    suggested = known.suggested.get(image.path)
    if suggested is None:
        return decision
    if known.issues == "drop":
        like = f", which suggests '{suggested}'" if suggested else ""
        return _dropped(decision, "label", f"on the list of wrong labels{like}")
    if suggested == image.label:
        return decision
    mended = f"; {decision.reason}" if decision.reason else ""
    return decision._replace(done="relabelled", label=suggested, reason=f"was labelled '{image.label}'{mended}")


def _dropped(decision: Decision, cause: Cause, reason: str) -> Decision:
    return decision._replace(done="dropped", cause=cause, reason=reason, label="", suffix="")


def refuse_empty_classes(decisions: Sequence[Decision], classes: Sequence[str], *, apart: bool) -> None:
    """Refuse a plan that leaves a class without images.

    Args:
        decisions: Splits as in the data.
        classes: Names.
        apart: Whether each split of the data has to have images of each class.

    Raises:
        UserError: Names the class and the argument that most of its images are dropped by.
    """
    left = {(one.split if apart else "", one.label) for one in decisions if one.done != "dropped"}
    for split in sorted({one.split if apart else "" for one in decisions}):
        for name in classes:
            if (split, name) in left:
                continue
            lost = [one for one in decisions if one.image.label == name and (not apart or one.split == split)]
            causes = Counter(one.cause or "label" for one in lost)
            key, advice = KEYS[causes.most_common(1)[0][0]]
            where = f" in {split}" if split else ""
            raise UserError(f"{key}: class '{name}' would have no images left{where}; {advice}")
