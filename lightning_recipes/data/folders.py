"""Class folders: which split and which class a file belongs to, and what can be wrong with that."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_recipes.data.files import FileSource, FileTree, is_picture
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


@dataclass(frozen=True)
class FolderSplits:
    """What the folders hold; a single ``train`` where they have no split."""

    parts: dict[str, FileSource]


def read_class_folders(tree: FileTree) -> FolderSplits:
    """Sort the files of a tree into splits and classes.

    Understood are ``train/`` and ``val/`` (``valid/``, ``validation/``, ``test/``) that hold class folders, class
    folders alone, and either of them inside one folder around it all. Pictures below a class folder, however deep,
    are its own. A ``test/`` of loose pictures has no labels and so is no split; it is for ``data.predict_root``.

    Raises:
        UserError: No pictures, one class, a class without pictures, splits without ``train/``, or classes that differ
            between the splits.
    """
    names = tree.names()
    around = _folder_around(names)
    inside = [name[len(around) :] for name in names if name.startswith(around) and name != around]
    found = _split_folders(tree.root, sorted({name.split("/")[0] for name in inside if "/" in name}))
    if not found:
        parts = {"train": ("", inside)}
    else:
        parts = {
            split: (f"{folder}/", [n[len(folder) + 1 :] for n in inside if n.startswith(f"{folder}/")])
            for split, folder in found.items()
        }
    if "test" in parts and _is_unlabelled(parts["test"][1]):
        del parts["test"]
    classes = {split: _classes_of(members) for split, (_, members) in parts.items()}
    _compare(tree.root, classes)
    return FolderSplits(
        {
            split: _source(tree, around + prefix, members, classes["train"], split if found else "")
            for split, (prefix, members) in parts.items()
        }
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
        hint = f"{loose} images lie beside no class folder" if loose else "no images"
        raise UserError(f"data.root: {where} has {hint}; put the images of each class into a folder of its name")
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
