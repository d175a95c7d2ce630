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
    are its own.

    Raises:
        UserError: No pictures, one class, a class without pictures, or classes that differ between the splits.
    """
    names = tree.names()
    around = _folder_around(names)
    inside = [name[len(around) :] for name in names if name.startswith(around) and name != around]
    tops = sorted({name.split("/")[0] for name in inside if "/" in name})
    splits = {top: SPLIT_NAMES[top.lower()] for top in tops if top.lower() in SPLIT_NAMES}
    has_split = "train" in splits.values()
    if not has_split:
        parts = {"train": ("", inside)}
    else:
        parts = {}
        for folder, split in splits.items():
            if split in parts:
                raise UserError(f"data.root: '{tree.root}' has two folders for {split} images; keep one of them")
            parts[split] = (f"{folder}/", [n[len(folder) + 1 :] for n in inside if n.startswith(f"{folder}/")])
    classes = {split: _classes_of(members) for split, (_, members) in parts.items()}
    _compare(tree.root, classes)
    return FolderSplits(
        {
            split: _source(tree, around + prefix, members, classes["train"], split if has_split else "")
            for split, (prefix, members) in parts.items()
        }
    )


def _folder_around(names: Sequence[str]) -> str:
    """Return the one folder that everything is in, as zips have it, unless it is a class or a split itself."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    if len(tops) != 1:
        return ""
    (top,) = tops
    is_class = any(name.count("/") == 1 and is_picture(name) for name in names)
    has_folders = any(
        (name.rstrip("/").count("/") >= 1 and not is_picture(name)) or name.count("/") >= 2 for name in names
    )
    return f"{top}/" if has_folders and not is_class and top.lower() not in SPLIT_NAMES else ""


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
