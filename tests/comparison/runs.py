"""Folders as runs leave them, without a training."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "model": {"class_path": "lightning_recipes.ImageClassifier", "init_args": {"backbone": "resnet18", "lr": 0.1}},
    "data": {"class_path": "lightning_recipes.ImageDataModule", "init_args": {"root": "pictures", "folds": None}},
    "trainer": {"callbacks": [{"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.99}}]},
}


def write_run(
    folder: Path,
    right: Sequence[bool],
    *,
    seed: int = 0,
    names: Sequence[str] | None = None,
    split: str = "val",
    model: Mapping[str, Any] | None = None,
    **data: Any,
) -> Path:
    """Write a run that has some images right; images of the same name are the same."""
    folder.mkdir(parents=True)
    recipe = json.loads(json.dumps(RECIPE)) | {"seed_everything": seed}
    recipe["model"]["init_args"] |= model or {}
    recipe["data"]["init_args"] |= data
    (folder / "config.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    summary = {
        "seed": seed,
        "finished": True,
        "seconds": 10.0 + seed,
        "parameters": 1000,
        "weights_sha256": str(folder),
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    rows = []
    for number, one in enumerate(right):
        name = names[number] if names else f"{number}.png"
        content = hashlib.sha256(name.encode()).hexdigest()
        rows.append([f"pictures/{name}", "cat", "cat" if one else "dog", 0.9, 0.1 if one else 2.3, content])
    with (folder / f"{split}_predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "true", "predicted", "probability", "log_loss", "sha256"], *rows])
    return folder


def change_row(table: Path, row: int, column: str, value: str) -> None:
    """Write another value into a table."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
