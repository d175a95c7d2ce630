"""A CSV file that names pictures and their labels."""

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from lightning_recipes.data.sources.class_names import refuse_lookalikes, warn_of_case
from lightning_recipes.data.sources.files import FileSource, FileTree, Folder
from lightning_recipes.data.sources.folders import FolderSplits
from lightning_recipes.data.sources.labels import Labels
from lightning_recipes.data.sources.manifest_rows import Lines, Row, by_column, read_row
from lightning_recipes.data.sources.shard_index import INDEX
from lightning_recipes.data.sources.shards import Shards
from lightning_recipes.errors import UserError, did_you_mean, first_few

__all__ = ["label_array", "read_manifest", "read_rows"]


def read_rows(path: str, *, several_labels: bool, group: str | None = None) -> tuple[FileTree, list[Row]]:
    """Return where the pictures of a CSV file lie, and its rows; arguments and errors as of :func:`read_manifest`."""
    parent = Path(path).parent
    shards = Shards(str(parent)) if (parent / INDEX).is_file() else None
    lines = Lines(path, None if shards is None else shards.names())
    rows = _rows(lines, several_labels=several_labels, group=group)
    if not rows:
        raise UserError(f"data.root: '{path}' names no images; add a row for each")
    return Folder(str(parent)) if shards is None else shards, rows


def read_manifest(path: str, *, several_labels: bool = False, group: str | None = None) -> FolderSplits:
    """Read a CSV file with the columns ``path``, ``label`` and, if the data is split, ``split``.

    Paths are relative to the file, or absolute; where shards lie beside it, they are those of pictures in them; a split
    is called as folders are: train, val, test. A label is one class; spaces around it are no part of it. Several are
    set apart by ``|``, and an image may have none.

    Args:
        path: Of the file.
        several_labels: Whether an image may have several labels.
        group: Column that says which images belong together, if it is one of the file's.

    Raises:
        UserError: A column, a label or a file is missing, a file is named twice by whatever paths, a cell names several
            classes, two classes look the same, or there is only one class.
    """
    tree, rows = read_rows(path, several_labels=several_labels, group=group)
    classes = sorted({label for row in rows for label in row.labels})
    refuse_lookalikes(f"data.root: '{path}'", classes)
    warn_of_case(f"data.root: '{path}'", classes)
    if len(classes) < (1 if several_labels else 2):
        has = f"one class, '{classes[0]}'; a classifier needs at least two" if classes else "no label at all"
        raise UserError(f"data.root: '{path}' has {has}, add rows of another")
    if several_labels:
        _warn_of_another_mark(path, rows)
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.split].append(row)
    if "train" not in parts:
        raise UserError(f"data.root: '{path}' has no images of split train; call some so in its column split")
    for split, members in parts.items():
        absent = sorted(set(classes) - {label for row in members for label in row.labels})
        if absent and several_labels and split != "train":
            some = first_few([f"'{name}'" for name in absent])
            rank_zero_warn(f"data.root: '{path}': no image in {split} has {some}: nothing is said of it there")
        elif absent:
            raise UserError(f"data.root: '{path}': class '{absent[0]}' has no images in {split}; add rows for it")
    return FolderSplits(
        {
            split: FileSource(
                tree,
                [row.path for row in members],
                label_array([row.labels for row in members], classes, several_labels=several_labels),
                classes,
                [row.group for row in members] if all(row.group for row in members) else None,
            )
            for split, members in parts.items()
        }
    )


def label_array(named: Sequence[Sequence[str]], classes: Sequence[str], *, several_labels: bool) -> Labels:
    """Return labels, by the names that each image has: a position of one, or 0 and 1 of each class."""
    number = {name: position for position, name in enumerate(classes)}
    if not several_labels:
        return [number[label] for names in named for label in names]
    labels = np.zeros((len(named), len(classes)), dtype=np.uint8)
    for position, names in enumerate(named):
        labels[position, [number[label] for label in names]] = 1
    return labels


def _warn_of_another_mark(path: str, rows: Sequence[Row]) -> None:
    """Say so where labels look as if they were set apart by something else."""
    labels = [label for row in rows for label in row.labels]
    if any(len(row.labels) > 1 for row in rows):
        return
    for mark in (";", ",", "/"):
        named = next((label for label in labels if mark in label), None)
        if named is not None:
            rank_zero_warn(
                f"data.root: '{path}': '{named}' counts as one label; labels are set apart by |, not by '{mark}'"
            )
            return


def _rows(lines: Lines, *, several_labels: bool, group: str | None) -> list[Row]:
    path = lines.manifest
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            filled = ([cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row))
            columns = next(filled, [])
            _check_columns(path, columns, group)
            cells = ((reader.line_num, by_column(lines, reader.line_num, columns, row)) for row in filled)
            return [read_row(lines, line, row, several_labels=several_labels, group=group) for line, row in cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.root: '{path}' cannot be read ({error}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"data.root: '{path}' cannot be read ({error.strerror}); allow it, or give another") from None


def _check_columns(path: str, columns: Sequence[str], group: str | None) -> None:
    """Refuse a first line that does not name the columns, each once."""
    plain = group is not None and group not in columns and re.fullmatch(r"[\w -]+", group)  # no regular expression
    if plain and group is not None and (alike := did_you_mean(group, columns)):
        raise UserError(f"data.group: '{path}' has no column '{group}'{alike}")
    for column in ("path", "label"):
        if column not in columns:
            near = next((name for name in columns if name.lower() == column), None)
            apart = next((mark for mark in (";", "\t", "|") if any(mark in name for name in columns)), None)
            hint = f"; it has '{near}'" if near else f"; its cells are set apart by {apart!r}" if apart else ""
            raise UserError(
                f"data.root: '{path}' has no column '{column}'{hint}; give its first line the columns path and "
                "label, set apart by a comma"
            )
    for column in ("path", "label", "split"):
        if columns.count(column) > 1:
            raise UserError(f"data.root: '{path}' has two columns '{column}'; keep one of them")
