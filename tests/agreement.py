"""What a run reports against what its file does: every number, row by row."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

import lightning_recipes as lr
from lightning_recipes.engine.best import read_best
from lightning_recipes.input_config import InputConfig
from tests.small import QUIET

__all__ = ["disagreements"]


def disagreements(folder: Path, data: lr.ImageDataModule, *, loose: float = 0.0, **trainer: Any) -> list[str]:
    """Return what of a run's folder does not agree with its ``best.ckpt``; nothing, where all is well.

    Args:
        folder: With ``summary.json``, ``val_predictions.csv``, ``errors.json`` and the checkpoint.
        data: A new data module, as the recipe has it.
        loose: How far probabilities may be apart where the run was judged in 16 bits: predictions one by one are in 32.
        trainer: Options of the trainer that validates.
    """
    summary, errors = (json.loads((folder / name).read_text()) for name in ("summary.json", "errors.json"))
    with (folder / "val_predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    model = lr.load(folder / "checkpoints" / "best.ckpt")
    assert isinstance(model, lr.ImageClassifier)
    (metrics,) = pl.Trainer(**{**QUIET, **trainer}).validate(model, datamodule=data, verbose=False)
    found = []

    def compare(what: str, reported: Any, does: Any, tolerance: float = 1e-6) -> None:
        if isinstance(reported, float) and isinstance(does, float):
            same = math.isclose(reported, does, abs_tol=tolerance, rel_tol=tolerance)
        else:
            same = reported == does
        if not same:
            found.append(f"{what}: reported {reported}, the file does {does}")

    compare("val_loss", summary["val_loss"], metrics["val_loss"])
    compare("val_accuracy", summary["val_accuracy"], metrics["val_accuracy"])
    compare("errors.json correct", errors["correct"] / errors["images"], metrics["val_accuracy"])
    compare("errors.json epoch", errors["best_epoch"], summary["best_epoch"])
    compare("rows", len(rows), len(data.opened.splits.val))
    right = sum(row["true"] == row["predicted"] for row in rows)
    compare("val_predictions.csv", right / len(rows), metrics["val_accuracy"])
    judged = read_best(folder / "checkpoints" / "best.ckpt", "val_accuracy")
    assert judged is not None
    # What earned the score: the validation of its epoch, on features perhaps.
    compare("the epoch's own val_loss", judged.metrics["val_loss"], metrics["val_loss"], 2e-2 if loose else 1e-4)
    compare("the epoch's own accuracy", judged.metrics["val_accuracy"], metrics["val_accuracy"], 1.5 / len(rows))
    compare("best_epoch", judged.epoch, summary["best_epoch"])
    found += _row_by_row(model, data, rows, tolerance=loose or 2e-3)
    counted = np.zeros((10, 10), int)
    for row in rows:
        counted[int(row["true"]), int(row["predicted"])] += 1
    compare("confusion", errors["confusion_matrix"], counted.tolist())
    return found


def _row_by_row(
    model: lr.ImageClassifier, data: lr.ImageDataModule, rows: Sequence[dict[str, str]], *, tolerance: float
) -> list[str]:
    """``predict`` on the pictures themselves, one by one, against the rows; a near tie may fall either way."""
    source, found = data.opened.splits.val, []
    used: InputConfig = model.judged_input  # type: ignore[assignment]
    predictions = model.predict([source.read(i, 2 * used.image_size) for i in range(len(source))])
    for path, row, prediction in zip(source.paths, rows, predictions, strict=True):
        says = float(prediction.probabilities[int(row["predicted"])])
        differs = abs(says - float(row["probability"])) > tolerance
        other = prediction.label != row["predicted"] and prediction.probability - says > tolerance
        if row["path"] != path or differs or other:
            found.append(f"{row}: predict says {prediction.label} ({prediction.probability:.4f})")
    return found
