"""A CSV file that names pictures and their labels."""

import csv
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from lightning_recipes.data.files import FileSource, Folder
from lightning_recipes.data.folders import SPLIT_NAMES, FolderSplits
from lightning_recipes.errors import UserError

__all__ = ["read_manifest"]


class Row(NamedTuple):
    """One picture, as its row gives it."""

    path: str
    label: str
    split: str


def read_manifest(path: str) -> FolderSplits:
    """Read a CSV file with the columns ``path``, ``label`` and, if the data is split, ``split``.

    Paths are relative to the file, or absolute; a split is called as folders are: train, val, test.

    Raises:
        UserError: A column, a label or a file is missing, a file is named twice, or there is only one class.
    """
    rows = _rows(path)
    if not rows:
        raise UserError(f"data.root: '{path}' names no images; add a row for each")
    classes = sorted({row.label for row in rows})
    if len(classes) < 2:
        raise UserError(
            f"data.root: '{path}' has one class, '{classes[0]}'; a classifier needs at least two, add rows of another"
        )
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.split].append(row)
    if "train" not in parts:
        raise UserError(f"data.root: '{path}' has no images of split train; call some so in its column split")
    number, folder = {name: position for position, name in enumerate(classes)}, Folder(str(Path(path).parent))
    for split, members in parts.items():
        absent = sorted(set(classes) - {row.label for row in members})
        if absent:
            raise UserError(f"data.root: '{path}': class '{absent[0]}' has no images in {split}; add rows for it")
    return FolderSplits(
        {
            split: FileSource(folder, [row.path for row in members], [number[row.label] for row in members], classes)
            for split, members in parts.items()
        }
    )


def _rows(path: str) -> list[Row]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            for column in ("path", "label"):
                if column not in (reader.fieldnames or []):
                    raise UserError(
                        f"data.root: '{path}' has no column '{column}'; give its first line the columns path and "
                        "label, set apart by a comma"
                    )
            lines: dict[str, int] = {}
            return [_row(path, reader.line_num, row, lines) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.root: '{path}' cannot be read ({error}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"data.root: '{path}' cannot be read ({error.strerror}); allow it, or give another") from None


def _row(path: str, line: int, cells: dict[str, str | None], lines: dict[str, int]) -> Row:
    """Return a row; ``lines`` holds the line of every file so far and is added to."""
    where = f"data.root: '{path}', line {line}"
    name, label = (cells[column] or "" for column in ("path", "label"))
    if not name or not label:
        raise UserError(f"{where}: path or label is empty; fill it in or remove the line")
    file = os.path.normpath(os.path.join(os.path.dirname(path), name))
    if not os.path.isfile(file):
        raise UserError(f"{where}: file '{name}' does not exist; paths are relative to the CSV file, or absolute")
    if lines.setdefault(file, line) != line:  # in two splits or with two labels, or counted twice
        raise UserError(f"{where}: file '{name}' is named in line {lines[file]} too; remove one of them")
    split = SPLIT_NAMES.get((cells.get("split") or "train").lower())
    if split is None:
        raise UserError(f"{where}: split '{cells['split']}' is not train, val or test; name one of them")
    return Row(name, label, split)
