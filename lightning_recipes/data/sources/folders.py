"""Class folders: which split and which class a file belongs to, and what can be wrong with that."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_recipes.data.sources.class_names import refuse_lookalikes, warn_of_case
from lightning_recipes.data.sources.files import FileSource, FileTree, is_picture, pictures_alone
from lightning_recipes.data.sources.remarks import warn
from lightning_recipes.errors import UserError

__all__ = ["FolderSplits", "read_class_folders"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
SPLIT_ORDER = ("train", "val", "test")
"""In which splits are listed."""


@dataclass(frozen=True)
class FolderSplits:
    """What the folders hold; a single ``train`` where they have no split."""

    parts: dict[str, FileSource]


def read_class_folders(tree: FileTree) -> FolderSplits:
    """Sort the files of a tree into splits and classes.

    Understood are ``train/`` and ``val/`` (``valid/``, ``validation/``, ``test/``) that hold class folders, class
    folders alone, and either of them inside one folder around it all, or several such. Pictures below a class folder,
    however deep, are its own. A ``test/`` of loose pictures has no labels and so is no split; it is for
    ``data.predict_root``. Other pictures outside the class folders are left out, with a warning.

    Raises:
        UserError: No pictures, one class, a class without pictures, classes whose names look the same, splits without
            ``train/``, or classes that differ between the splits.
    """
    names = pictures_alone(tree.names())
    around, inside = "", names
    while inner := _folder_around(inside):
        around += inner
        inside = [name[len(inner) :] for name in inside if name.startswith(inner) and name != inner]
    found = _split_folders(tree.root, sorted({name.split("/")[0] for name in inside if "/" in name}))
    if not found:
        parts = {"train": ("", inside)}
    else:
        parts = {
            split: (f"{folder}/", [n[len(folder) + 1 :] for n in inside if n.startswith(f"{folder}/")])
            for split, folder in found.items()
        }
    unlabelled = parts.pop("test")[1] if "test" in parts and _is_unlabelled(parts["test"][1]) else ()
    classes = {split: _classes_of(members) for split, (_, members) in parts.items()}
    refuse_lookalikes(f"data.root: '{tree.root}'", {name for members in classes.values() for name in members})
    _compare(tree.root, classes)
    read = FolderSplits(
        {
            split: _source(tree, around + prefix, members, classes["train"], split if found else "")
            for split, (prefix, members) in parts.items()
        }
    )
    warn_of_case(f"data.root: '{tree.root}'", classes["train"])
    _warn_of_left_out(tree, names, read, len([name for name in unlabelled if is_picture(name)]))
    return read


def _warn_of_left_out(tree: FileTree, names: Sequence[str], read: FolderSplits, unlabelled: int) -> None:
    """Warn of pictures that lie beside class folders, or beside folders of splits."""
    left = sum(map(is_picture, names)) - sum(map(len, read.parts.values())) - unlabelled
    if left:
        used = {path for part in read.parts.values() for path in part.paths}
        example = next(name for name in names if is_picture(name) and name not in used)
        many = "1 image lies" if left == 1 else f"{left} images lie"
        warn(
            f"data.root: '{tree.root}': {many} in no class folder, such as '{example}', and not in use; move them into "
            "one, or away"
        )


def _split_folders(root: str, tops: Sequence[str]) -> dict[str, str]:
    """Return the folder of each split; none where the folders are classes."""
    found: dict[str, str] = {}
    for top in tops:
        split = SPLIT_NAMES.get(top.lower())
        if split in found:
            raise UserError(
                f"data.root: '{root}' has two folders for {split} images, '{found[split]}' and '{top}'; "
                "keep one of them"
            )
        if split is not None:
            found[split] = top
    if "train" in found:
        return found
    if tops and len(found) == len(tops):  # else a class is called so, among others
        held = " and ".join(f"'{top}'" for top in found.values())
        raise UserError(f"data.root: '{root}' has {held} but no 'train'; call the folder of training images so")
    return {}


def _is_unlabelled(members: Sequence[str]) -> bool:
    return bool(members) and not _classes_of(members)


def _folder_around(names: Sequence[str]) -> str:
    """Return the one folder that everything is in, as zips have it, unless it is a class or a split itself."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    if len(tops) != 1:
        return ""
    (top,) = tops
    if top.lower() in SPLIT_NAMES:
        return ""
    below = {name.split("/")[1].lower() for name in names if name.count("/") >= 2}
    holds_pictures = any(name.count("/") == 1 and is_picture(name) for name in names)
    return f"{top}/" if "train" in map(SPLIT_NAMES.get, below) or (below and not holds_pictures) else ""


def _classes_of(members: Sequence[str]) -> list[str]:
    return sorted({name.split("/")[0] for name in members if "/" in name})


def _compare(root: str, classes: dict[str, list[str]]) -> None:
    train = classes["train"]
    for split, found in classes.items():
        extra, missing = sorted(set(found) - set(train)), sorted(set(train) - set(found))
        if extra or missing:
            parts = [f"{split} has no '{missing[0]}'"] if missing else []
            parts += [f"train has no '{extra[0]}'"] if extra else []
            raise UserError(
                f"data.root: class folders of '{root}' differ between train and {split}: {' and '.join(parts)} "
                f"({len(missing) + len(extra)} in all); give both the same class folders"
            )


def _source(tree: FileTree, prefix: str, members: Sequence[str], classes: Sequence[str], split: str) -> FileSource:
    pictures = [name for name in members if "/" in name and is_picture(name)]
    where = f"'{tree.root}'" + (f", {split}" if split else "")
    if not pictures:
        loose = sum(is_picture(name) for name in members)
        if loose:
            many = "1 image that lies" if loose == 1 else f"{loose} images that lie"
            raise UserError(
                f"data.root: {where} has {many} in no class folder; put the images of each class into a folder of its "
                "name, or name images and labels in a .csv with the columns path and label"
            )
        raise UserError(f"data.root: {where} has no images; put the images of each class into a folder of its name")
    if len(classes) < 2:
        raise UserError(
            f"data.root: {where} has one class, '{classes[0]}'; a classifier needs at least two class folders"
        )
    label = {name: number for number, name in enumerate(classes)}
    labels = [label[name.split("/")[0]] for name in pictures]
    empty = sorted(set(classes) - {classes[number] for number in set(labels)})
    if empty:
        raise UserError(
            f"data.root: {where}: class '{empty[0]}' has no images ({len(empty)} such); add some or remove it"
        )
    return FileSource(tree, [prefix + name for name in pictures], labels, classes)
