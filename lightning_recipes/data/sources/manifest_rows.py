"""Rows of a CSV file that names pictures and their labels."""

import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from lightning_recipes.data.sources.class_names import look
from lightning_recipes.data.sources.folders import SPLIT_NAMES
from lightning_recipes.errors import UserError

__all__ = ["Lines", "Row", "by_column", "read_row"]


class Row(NamedTuple):
    """One picture, as its row gives it."""

    path: str
    labels: tuple[str, ...]
    split: str
    group: str


class Lines:
    """Which line of a CSV file names which file, by whatever path, relative, absolute or through a link.

    Args:
        manifest: The CSV file.
        stored: Names of the pictures in shards that lie beside it; None where there are none.
    """

    def __init__(self, manifest: str, stored: Sequence[str] | None = None) -> None:
        self.manifest = manifest
        self._stored = None if stored is None else set(stored)
        self._lines: dict[str, int] = {}
        self._folders: dict[str, str] = {}

    def absence(self, name: str) -> str:
        """Say in words that there is no such file; empty where there is."""
        if self._stored is not None:
            return "" if name in self._stored else "is not in the shards"
        file = os.path.join(os.path.dirname(self.manifest), name)
        return "" if os.path.isfile(file) else _absence(file)

    def add(self, name: str, line: int) -> int | None:
        """Note a file; return the line that names it already, if one does."""
        folder, base = os.path.split(os.path.join(os.path.dirname(self.manifest), name))
        if folder not in self._folders:  # a million files lie in few folders
            self._folders[folder] = os.path.realpath(folder)
        file = os.path.join(self._folders[folder], base)
        file = os.path.realpath(file) if os.path.islink(file) else os.path.normpath(file)
        first = self._lines.setdefault(file, line)
        return None if first == line else first


def by_column(lines: Lines, line: int, columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row by their columns; a row that is cut short has empty ones."""
    if any(row[len(columns) :]):
        raise UserError(
            f"data.root: '{lines.manifest}', line {line}: {len(row)} cells in {len(columns)} columns; put a path or "
            "label that has a comma in double quotes"
        )
    return dict(zip_longest(columns, row[: len(columns)], fillvalue=""))


def read_row(lines: Lines, line: int, cells: dict[str, str], *, several_labels: bool, group: str | None = None) -> Row:
    """Return a row; its file is added to those of the lines before."""
    where = f"data.root: '{lines.manifest}', line {line}"
    name, label = cells["path"], cells["label"]
    if not name or not (label or several_labels):
        what = "path" if several_labels else "path or label"
        then = "; of an image that may have none, set model.task: multilabel" if name else ""
        raise UserError(f"{where}: {what} is empty; fill it in or remove the line{then}")
    if "|" in label and not several_labels:
        raise UserError(
            f"{where}: label '{label}' names several classes, and model.task: multiclass gives one; keep one of them, "
            "call a class otherwise whose name has a |, or set model.task: multilabel"
        )
    labels = tuple(dict.fromkeys(part.strip() for part in label.split("|") if part.strip()))
    if absence := lines.absence(name):
        raise UserError(f"{where}: file '{name}' {absence}; paths are relative to the CSV file, or absolute")
    first = lines.add(name, line)  # in two splits or with two labels, or counted twice
    if first is not None:
        then = "put all its labels into one line, with | between them" if several_labels else "remove one of them"
        raise UserError(f"{where}: file '{name}' is named in line {first} too; {then}")
    split = SPLIT_NAMES.get((cells.get("split") or "train").lower())
    if split is None:
        raise UserError(f"{where}: split '{cells['split']}' is not train, val or test; name one of them")
    of_group = cells.get(group, "") if group is not None else ""
    if group in cells and not of_group:
        raise UserError(f"{where}: {group} is empty, and data.group asks for it; fill it in")
    return Row(name, labels, split, of_group)


def _absence(file: str) -> str:
    if os.path.isdir(file):
        return "is a folder"
    folder, base = os.path.split(file)
    try:
        alike = next((name for name in os.listdir(folder or ".") if look(name) == look(base)), None)
    except OSError:
        alike = None
    return "does not exist" if alike is None else f"does not exist, but one that looks the same, {alike!a}"
