"""What each run says of the images that all of them were judged on, in one order."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.comparison.groups import Group
from lightning_recipes.errors import UserError
from lightning_recipes.run.reader import RunContents

__all__ = ["Paired", "Split", "paired"]

Split = Literal["val", "test"]
COMMANDS = {"val": "validate", "test": "test"}
Key = tuple[str, int]
"""Hash of an image, and how many equal ones come before it."""
Row = dict[str, str]


@dataclass(frozen=True)
class Paired:
    """Runs of several groups on the same images.

    Attributes:
        paths: Of the images, as the first run has them, (images,).
        true: Their labels in words.
        right: Of each group 1 where a run has an image right, else 0, (runs, images).
        losses: Likewise the log loss; None where a run does not say it.
        said: Of each group what its first run says of each image.
        several: Whether an image may have several labels, and is right where all are.
    """

    paths: list[str]
    true: list[str]
    right: list[NDArray[np.float64]]
    losses: list[NDArray[np.float64]] | None
    said: list[list[str]]
    several: bool


def paired(groups: Sequence[Group], split: Split) -> Paired:
    """Return what the runs say, image by image; images are the same where their hashes are.

    Args:
        groups: At least one.
        split: Whose predictions are read: ``val`` or ``test``.

    Raises:
        UserError: A run has no such predictions, or was judged on other images or by other labels than the first.
    """
    read = [_runs(group, split) for group in groups]
    first_name, first = next(iter(read[0].items()))
    for runs in read:
        for name, table in runs.items():
            _refuse_others(table, name, first, first_name)
    ordered = [[[table[key] for key in first] for table in runs.values()] for runs in read]
    known = all("log_loss" in table[0] for tables in ordered for table in tables)
    return Paired(
        paths=[row["path"] for row in first.values()],
        true=[row["true"] for row in first.values()],
        right=[np.array([[float(r["true"] == r["predicted"]) for r in t] for t in tables]) for tables in ordered],
        losses=[np.array([[float(r["log_loss"]) for r in t] for t in tables]) for tables in ordered] if known else None,
        said=[[row["predicted"] for row in tables[0]] for tables in ordered],
        several="probability" not in ordered[0][0][0],
    )


def _runs(group: Group, split: Split) -> dict[str, dict[Key, Row]]:
    """Return the rows of each seed by its name: of one run, or of those that each held out a fold, together."""
    seeds: dict[str, list[RunContents]] = {}
    for run in group.runs:
        data = run.recipe.get("data") or {}
        by_fold = split == "val" and data.get("init_args", data).get("folds") is not None
        seeds.setdefault(f"{group.name}, seed {run.summary['seed']}" if by_fold else str(run.folder), []).append(run)
    return {name: _keyed([row for run in runs for row in _rows(run.folder, split)]) for name, runs in seeds.items()}


def _rows(folder: Path, split: Split) -> list[Row]:
    path = folder / f"{split}_predictions.csv"
    how = (
        f"lightning-recipes {COMMANDS[split]} --ckpt_path {folder / 'checkpoints' / 'best.ckpt'} --predictions {path} "
        "writes it"
    )
    if not path.exists():
        raise UserError(f"{path}: is not there; {how}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not all(row.get("sha256") for row in rows):
        raise UserError(f"{path}: does not say by hashes which images these are, as an older version wrote it; {how}")
    return rows


def _keyed(rows: Sequence[Row]) -> dict[Key, Row]:
    """Return rows by image, equal images in the order of their labels."""
    count: Counter[str] = Counter()
    found = {}
    for row in sorted(rows, key=lambda row: row["true"]):
        found[row["sha256"], count[row["sha256"]]] = row
        count[row["sha256"]] += 1
    return {key: found[key] for key in sorted(found, key=lambda key: found[key]["path"])}


def _refuse_others(table: dict[Key, Row], name: str, first: dict[Key, Row], first_name: str) -> None:
    for one, other, has, lacks in ((table, first, name, first_name), (first, table, first_name, name)):
        if missing := [row["path"] for key, row in one.items() if key not in other]:
            raise UserError(
                f"{lacks}: was judged on other images than {has}: {len(missing):,} of these {len(one):,} are not among "
                f"them by their content, such as {missing[0]}; compare runs that were judged on the same split"
            )
    for key, row in table.items():
        if row["true"] != first[key]["true"]:
            raise UserError(
                f"{name}: was judged by other labels than {first_name}: {row['path']} is '{row['true']}' here and "
                f"'{first[key]['true']}' there; judge both anew by the same labels"
            )
