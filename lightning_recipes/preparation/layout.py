"""Where an image lies in the folder that is made, and the tables beside the images."""

import os
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from lightning_recipes.data.sources.files import is_picture, is_visible
from lightning_recipes.data.sources.folders import SPLIT_NAMES, SPLIT_ORDER
from lightning_recipes.errors import UserError
from lightning_recipes.preparation.images import Decision, writable

__all__ = [
    "in_order",
    "manifest_table",
    "needs_split_folders",
    "paths_of",
    "prepared_table",
    "refuse_class_names",
    "said_of_names",
]


def in_order(decisions: Sequence[Decision]) -> list[int]:
    """Return places by split and name."""
    key = {split: number for number, split in enumerate(SPLIT_ORDER)}
    return sorted(range(len(decisions)), key=lambda i: (key.get(decisions[i].split, -1), decisions[i].image.path))


def refuse_class_names(classes: Sequence[str]) -> None:
    """Refuse names that a CSV file can give to a class, but that are none of a folder here."""
    for name in classes:
        if not is_visible(name) or any(sign in name for sign in "/\\\0"):
            raise UserError(f"data_dir: class '{name}' cannot be the name of a folder; call it otherwise")


def said_of_names(classes: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Say where the folder and the manifest are not of one use."""
    several = next((name for name in classes if "|" in name), None)
    strange = [path for path in paths if path and not is_picture(path)]
    said = []
    if several is not None:
        said.append(f"'{several}' has a | in it, which sets labels apart: manifest.csv cannot be data.root")
    if strange:
        said.append(f"{len(strange)} images, such as {strange[0]}, are seen by manifest.csv alone, not in the folder")
    return said


def paths_of(decisions: Sequence[Decision], *, with_splits: bool) -> list[str]:
    """Return the path of each image in the folder that is made; empty where it is dropped.

    An image keeps the name of its file, with a number where another of that name is there. Bytes of a name that are no
    text are replaced, since no table could name them.

    Args:
        decisions: In the order in which they are written.
        with_splits: Whether class folders lie in folders of splits.
    """
    free = _free_names()
    return [
        ""
        if one.done == "dropped"
        else free(writable("/".join([*([one.split or "train"] if with_splits else []), one.label.strip()])), one)
        for one in decisions
    ]


def _free_names() -> Callable[[str, Decision], str]:
    taken: set[str] = set()
    last: dict[str, int] = {}

    def free(folder: str, one: Decision) -> str:
        name = PurePosixPath(writable(os.path.basename(one.image.path).lstrip(".")))
        name = name.with_suffix(one.suffix) if one.suffix and name.name else name
        wanted = found = f"{folder}/{name}"
        while found in taken:
            last[wanted] = last.get(wanted, 0) + 1
            found = f"{folder}/{name.stem}-{last[wanted]}{name.suffix}"
        taken.add(found)
        return found

    return free


def needs_split_folders(decisions: Sequence[Decision], classes: Sequence[str]) -> bool:
    """Tell whether splits are folders: where there are several, or where a class would be taken for one."""
    splits = {one.split for one in decisions if one.done != "dropped"}
    return len(splits) > 1 or any(name.lower() in SPLIT_NAMES for name in classes)


def prepared_table(decisions: Sequence[Decision], paths: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of ``prepared.csv``: what became of each image of the data."""
    rows = [
        [path, one.image.path, one.image.label, one.label, one.done, one.split, one.group, one.reason]
        for one, path in zip(decisions, paths, strict=True)
    ]
    header = ["path", "source", "was", "label", "done", "split", "group", "reason"]
    return header, [[writable(cell) for cell in row] for row in rows]


def manifest_table(decisions: Sequence[Decision], paths: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of ``manifest.csv``, which ``data.root`` takes: the images that are there."""
    kept = [(one, path) for one, path in zip(decisions, paths, strict=True) if path]
    columns = {
        "path": [path for _, path in kept],
        "label": [one.label for one, _ in kept],
        "split": [one.split for one, _ in kept],
        "group": [one.group for one, _ in kept],
    }
    there = {name: cells for name, cells in columns.items() if name in ("path", "label") or any(cells)}
    return list(there), [[writable(cell) for cell in row] for row in zip(*there.values(), strict=True)]
