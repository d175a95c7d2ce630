"""A CSV file that names pictures and their labels."""

import csv
from pathlib import Path

from lightning_recipes.data.files import FileSource, Folder
from lightning_recipes.data.folders import SPLIT_NAMES, FolderSplits
from lightning_recipes.errors import UserError

__all__ = ["read_manifest"]


def read_manifest(path: str) -> FolderSplits:
    """Read a CSV file with the columns ``path``, ``label`` and, if the data is split, ``split``.

    Paths are relative to the file, or absolute; a split is called as folders are: train, val, test.

    Raises:
        UserError: A column, a label or a file is missing, or there is only one class.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for column in ("path", "label"):
            if column not in (reader.fieldnames or []):
                raise UserError(f"data.root: '{path}' has no column '{column}'; it needs path and label")
        rows = list(reader)
    if not rows:
        raise UserError(f"data.root: '{path}' names no images; add a row for each")
    folder = Folder(str(Path(path).parent))
    for line, row in enumerate(rows, start=2):
        if not row["path"] or not row["label"]:
            raise UserError(f"data.root: '{path}', line {line}: path or label is empty")
        if not Path(folder.root, row["path"]).is_file():
            raise UserError(f"data.root: '{path}', line {line}: file '{row['path']}' does not exist")
    classes = sorted({row["label"] for row in rows})
    if len(classes) < 2:
        raise UserError(f"data.root: '{path}' has one class, '{classes[0]}'; a classifier needs at least two")
    label = {name: number for number, name in enumerate(classes)}
    parts: dict[str, list[dict[str, str]]] = {}
    for line, row in enumerate(rows, start=2):
        split = SPLIT_NAMES.get((row.get("split") or "train").lower())
        if split is None:
            raise UserError(f"data.root: '{path}', line {line}: split '{row['split']}' is not train, val or test")
        parts.setdefault(split, []).append(row)
    if "train" not in parts:
        raise UserError(f"data.root: '{path}' has no images of split train")
    sources = {
        split: FileSource(folder, [r["path"] for r in members], [label[r["label"]] for r in members], classes)
        for split, members in parts.items()
    }
    for split, source in sources.items():
        absent = set(range(len(classes))) - set(source.labels.tolist())
        if absent:
            raise UserError(f"data.root: '{path}': class '{classes[min(absent)]}' has no images in {split}")
    return FolderSplits(sources)
