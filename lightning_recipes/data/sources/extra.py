"""Pictures that are trained on beside the real ones, such as made ones: ``data.extra``."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lightning_recipes.data.sources.checks import drop_bad
from lightning_recipes.data.sources.class_names import look
from lightning_recipes.data.sources.files import FileSource, FileTree, is_picture, pictures_alone
from lightning_recipes.data.sources.folders import SPLIT_NAMES
from lightning_recipes.data.sources.labels import Labels
from lightning_recipes.data.sources.leaks import refuse_leaks
from lightning_recipes.data.sources.manifest import label_array, read_rows
from lightning_recipes.data.sources.open import OpenedData, is_manifest, open_tree
from lightning_recipes.data.sources.real_and_extra import RealAndExtra, extra_in_an_epoch
from lightning_recipes.data.sources.remarks import warn
from lightning_recipes.data.sources.source import ImageSource, Splits
from lightning_recipes.errors import UserError, did_you_mean, first_few, refuse_bad_values

__all__ = ["Extra", "parse_extra", "read_extra", "say_extra", "with_extra"]

log = logging.getLogger(__name__)

KEY = "data.extra"
MOST = 1000.0
"""Of the weight: an epoch of more would have no end, and its order no room in memory."""
Named = list[tuple[str, tuple[str, ...]]]
"""Files in a tree, each with the names of its classes."""


@dataclass(frozen=True)
class Extra:
    """What ``data.extra`` says.

    Attributes:
        root: A folder, a zip or shards of class folders, or a CSV file.
        weight: How often each picture comes in an epoch, a real one coming once, <= 1000; 0: never, and no picture is
            in the data, but those that there are have to be right.
    """

    root: str
    weight: float = 1.0


def parse_extra(given: str | os.PathLike[str] | Mapping[str, Any] | None) -> Extra | None:
    """Return what the key says; None where it is left out.

    Raises:
        UserError: It is neither a path nor a mapping with ``root``, or its weight is no number from 0 to 1000.

    Example:
        >>> parse_extra({"root": "made", "weight": 0.5})
        Extra(root='made', weight=0.5)
    """
    if given is None:
        return None
    if not isinstance(given, (str, os.PathLike, Mapping)):
        raise UserError(
            f"{KEY}: {given!r} is neither a path nor a mapping; give one, as in {{root: made, weight: 0.5}}"
        )
    values: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {"root": given}
    if unknown := sorted(set(values) - {"root", "weight"}):
        raise UserError(f"{KEY}.{unknown[0]}: there is no such key{did_you_mean(unknown[0], ('root', 'weight'))}")
    root, weight = values.get("root"), values.get("weight", 1.0)
    if not isinstance(root, (str, os.PathLike)) or not str(root):
        raise UserError(f"{KEY}.root: not given; name a folder of class folders, as in {{root: made, weight: 0.5}}")
    number = isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight <= MOST
    wanted = f"a number from 0 to {MOST:.0f}; give 1 for each picture once in an epoch"
    refuse_bad_values(KEY, ("weight", weight, number, wanted))
    return Extra(os.fspath(root), float(weight))


def with_extra(
    opened: OpenedData,
    given: str | Mapping[str, Any] | None,
    *,
    on_bad_image: Literal["error", "skip"] = "error",
    several_labels: bool = False,
    channels: int = 3,
) -> OpenedData:
    """Return data whose training images are the real ones and then the extra ones; validation and test stay.

    Args:
        opened: The real data.
        given: As for :func:`parse_extra`; left out, or of weight 0, the data stay as they are.
        on_bad_image: What becomes of files that are no whole pictures.
        several_labels: Whether an image may have several labels, as a CSV file says.
        channels: Of an image.

    Raises:
        UserError: There are no pictures, one is of a class that the data have not, cannot be read, or is the same file
            as an image that is held out.
    """
    extra = parse_extra(given)
    if extra is None:
        return opened
    splits = opened.splits
    found, skipped = _open(extra.root, splits.train.classes, on_bad_image, several_labels, channels)
    refuse_leaks(found, KEY, {"validation": splits.val, "test": splits.test})
    if extra.weight == 0:
        return opened
    joined = RealAndExtra(splits.train, found, extra.weight)
    return OpenedData(Splits(joined, splits.val, splits.test), (*opened.skipped, *skipped))


def say_extra(train: ImageSource) -> None:
    """Say how many extra pictures come beside how many real ones, where there are some."""
    if isinstance(train, RealAndExtra):
        real, extra, times = len(train.real), len(train.extra), extra_in_an_epoch(train)
        log.info("%s: %s pictures beside %s real ones; they come %s times in each epoch", KEY, extra, real, times)


def _open(
    root: str, classes: Sequence[str], on_bad_image: Literal["error", "skip"], several_labels: bool, channels: int
) -> tuple[FileSource, tuple[str, ...]]:
    files = read_extra(root, classes, several_labels=several_labels)
    files.channels, files.classes = channels, ()  # not all of which need pictures here
    parts, skipped = drop_bad({"extra": files}, on_bad_image, key=KEY)
    if not len(parts["extra"]):
        raise UserError(f"{KEY}: '{root}' has no whole picture; mend some, or leave it out")
    parts["extra"].classes = tuple(classes)
    return parts["extra"], skipped


def read_extra(root: str, classes: Sequence[str], *, several_labels: bool = False, key: str = KEY) -> FileSource:
    """Return extra pictures, whatever is in their files.

    Args:
        root: A folder, a zip or shards of class folders, or a CSV file.
        classes: Of the data.
        several_labels: Whether an image may have several labels.
        key: Of the recipe or the command, for the errors.

    Raises:
        UserError: There are none, or one is of no class of the data.
    """
    root = os.path.expanduser(root)
    try:
        if several_labels and not is_manifest(root):
            raise UserError(
                f"{KEY}: '{root}' has one class an image, and model.task: multilabel takes a .csv; give one"
            )
        tree, named = _rows(root, several_labels) if is_manifest(root) else _class_folders(root, classes)
        labels = _labels(root, named, classes, several_labels)
    except UserError as error:  # of what reads data.root, too
        raise UserError(str(error).replace("data.root:", f"{KEY}:").replace(f"{KEY}:", f"{key}:")) from None
    return FileSource(tree, [path for path, _ in named], labels, classes)


def _labels(root: str, named: Named, classes: Sequence[str], several_labels: bool) -> Labels:
    """Return labels as positions in the classes of the data, whose names these have to be."""
    known = {look(name): name for name in classes}
    for name in sorted({name for _, names in named for name in names}):
        if look(name) not in known:
            near = did_you_mean(name, classes) or f"; there are {first_few(list(classes))}"
            raise UserError(f"{KEY}: '{root}' has pictures of '{name}', which is no class of the data{near}")
    theirs = [[known[look(name)] for name in names] for _, names in named]
    return label_array(theirs, classes, several_labels=several_labels)


def _rows(path: str, several_labels: bool) -> tuple[FileTree, Named]:
    tree, rows = read_rows(path, several_labels=several_labels)
    if held := next((row for row in rows if row.split != "train"), None):
        raise UserError(
            f"{KEY}: '{path}' has '{held.path}' in split {held.split}, and extra pictures are trained on alone; take "
            "such rows out"
        )
    return tree, [(row.path, row.labels) for row in rows]


def _class_folders(root: str, classes: Sequence[str]) -> tuple[FileTree, Named]:
    tree, known = open_tree(root, KEY), set(map(look, classes))
    names = [name for name in pictures_alone(tree.names()) if is_picture(name)]
    around = _folder_around(names, known)
    inside = [(name, name[len(around) :].split("/")[0]) for name in names if "/" in name[len(around) :]]
    if not inside:
        raise UserError(f"{KEY}: '{root}' has no picture in a class folder; put those of a class into one of its name")
    if split := next((top for _, top in inside if top.lower() in SPLIT_NAMES and look(top) not in known), None):
        raise UserError(f"{KEY}: '{root}' has a folder '{split}'; give class folders alone, all to be trained on")
    if loose := len(names) - len(inside):
        warn(f"{KEY}: '{root}': {loose} pictures are in no class folder and not in use; move them into one, or away")
    return tree, [(name, (top,)) for name, top in inside]


def _folder_around(names: Sequence[str], known: set[str]) -> str:
    """Return the one folder that the class folders are in, as zips have it, or nothing."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    if len(tops) != 1 or look(around := tops.pop()) in known:
        return ""
    below = {look(name.split("/")[1]) for name in names if name.count("/") >= 2}
    return f"{around}/" if below & known else ""
