"""What each run says of the images that all of them were judged on, in one order."""

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Paired:
    """Runs of several groups on the same images.

    Attributes:
        paths: Of the images, as the first run has them, (images,).
        true: Their labels in words.
        right: Of each group 1 where a run has an image right, else 0, (runs, images).
        losses: Likewise the log loss; None where a run does not say it of each image, or it is not finite.
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
    if len(first) < 2:
        raise UserError(f"{first_name}: was judged on a single image, which says nothing of others; compare on more")
    for runs in read:
        for name, table in runs.items():
            _refuse_others(table, name, first, first_name)
    ordered = [[[table[key] for key in first] for table in runs.values()] for runs in read]
    losses = [np.array([[_number(row.get("log_loss")) for row in table] for table in tables]) for tables in ordered]
    return Paired(
        paths=[row["path"] for row in first.values()],
        true=[row["true"] for row in first.values()],
        right=[np.array([[float(r["true"] == r["predicted"]) for r in t] for t in tables]) for tables in ordered],
        losses=losses if all(np.isfinite(one).all() for one in losses) else None,
        said=[[row["predicted"] for row in tables[0]] for tables in ordered],
        several="probability" not in ordered[0][0][0],
    )


def _runs(group: Group, split: Split) -> dict[str, dict[Key, Row]]:
    """Return the rows of each seed by its name: of one run, or of those that each held out a fold, together."""
    seeds: dict[str, list[RunContents]] = {}
    for run in group.runs:
        by_fold = split == "val" and run.arguments("data").get("folds") is not None
        seed = f"{group.name}, seed {run.summary.get('seed')}"
        seeds.setdefault(seed if by_fold else str(run.folder), []).append(run)
    for name, runs in seeds.items():
        _refuse_bad_folds(name, runs)
    return {name: _keyed([row for run in runs for row in _rows(run, split)]) for name, runs in seeds.items()}


def _refuse_bad_folds(name: str, runs: Sequence[RunContents]) -> None:
    if len(runs) == 1:
        return
    folds, count = [run.arguments("data")["fold"] for run in runs], runs[0].arguments("data")["folds"]
    if sorted(map(str, folds)) != sorted(map(str, range(count))):
        raise UserError(
            f"{name}: its runs hold out the folds {', '.join(map(str, folds))} of {count}; "
            "compare each fold once, all of them or a single one"
        )


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan


def _rows(run: RunContents, split: Split) -> list[Row]:
    folder = run.folder
    path = folder / f"{split}_predictions.csv"
    how = (
        f"lightning-recipes {COMMANDS[split]} --ckpt_path {folder / 'checkpoints' / 'best.ckpt'} --predictions {path} "
        "writes it"
    )
    if not path.exists():
        if run.summary.get("monitor") is not None and not run.measured:
            raise UserError(f"{folder}: its model tells no classes apart; compare pairs what classifiers say of images")
        raise UserError(f"{path}: is not there; {how}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is no table of predictions ({error}); {how}") from None
    if rows and "sha256" not in rows[0]:
        raise UserError(f"{path}: does not say by hashes which images these are, as an older version wrote it; {how}")
    if not rows or not all(row.get("predicted") is not None and HASH.fullmatch(row["sha256"] or "") for row in rows):
        raise UserError(f"{path}: is cut short, or has an image without its hash; {how}")
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
