"""Error analysis in a run: files, figures that agree with the predictions beside them, and a training left alone."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lightning_recipes import BestCheckpoint, ErrorAnalysis, RunSummary
from lightning_recipes.figures.confusion import confusion_figure
from tests.faults.test_resume import KeepEvery
from tests.small import classifier, digits, fit


def analysed(folder: Path, *more: Any, **options: Any) -> tuple[dict[str, Any], str]:
    callbacks = [RunSummary(str(folder)), *more, BestCheckpoint(dirpath=str(folder))]
    settings: dict[str, Any] = {"max_epochs": 3, "default_root_dir": str(folder), "enable_checkpointing": True}
    _, sha = fit(classifier(lr=0.05), digits(val_fraction=0.1), *callbacks, **{**settings, **options})
    path = folder / "errors.json"
    return json.loads(path.read_text()) if path.exists() else {}, sha


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "val_predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_what_is_written_agrees_with_the_predictions_of_the_best_epoch(tmp_path: Path) -> None:
    errors, sha = analysed(tmp_path / "with", ErrorAnalysis(worst=5))
    assert analysed(tmp_path / "without") == ({}, sha)
    rows = predictions(tmp_path / "with")
    assert errors["images"] == len(rows)
    assert errors["correct"] == sum(row["true"] == row["predicted"] for row in rows)
    matrix = np.asarray(errors["confusion_matrix"])
    for pair in errors["most_confused"]:
        wrong = [r for r in rows if (r["true"], r["predicted"]) == (pair["true"], pair["predicted"])]
        assert len(wrong) == pair["images"] == matrix[int(pair["true"]), int(pair["predicted"])]
    assert len(errors["highest_losses"]) == 5
    paths = {row["path"]: row for row in rows}
    for worst in errors["highest_losses"]:
        assert paths[worst["path"]]["true"] == worst["true"]
    with (tmp_path / "with" / "label_issues.csv").open() as file:
        issues = list(csv.DictReader(file))
    assert {issue["path"] for issue in issues} == {r["path"] for r in rows if r["true"] != r["predicted"]}
    assert all(paths[issue["path"]]["predicted"] == issue["suggested"] for issue in issues)
    for name in ("confusion.png", "calibration.png"):
        with Image.open(tmp_path / "with" / "figures" / name) as picture:
            assert picture.width > 400
    assert errors["diagnosis"]


def test_a_run_that_goes_on_knows_the_losses_of_all_its_epochs(tmp_path: Path) -> None:
    whole, _ = analysed(tmp_path / "whole", ErrorAnalysis(), KeepEvery(tmp_path, "step"))
    again, _ = analysed(tmp_path / "whole", ErrorAnalysis(), ckpt_path=tmp_path / "step-08.ckpt")
    assert again["diagnosis"] == whole["diagnosis"]


def test_it_can_be_left_out(tmp_path: Path) -> None:
    assert analysed(tmp_path, ErrorAnalysis(run=False))[0] == {}
    assert not (tmp_path / "label_issues.csv").exists()


@pytest.mark.parametrize("classes", [1, 2, 25, 60, 200])
def test_the_matrix_can_be_drawn_at_any_size_with_any_names(classes: int, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).integers(0, 9, (classes, classes))
    names = ["$a_b$ <script> a very long name indeed", *(f"class {i}" for i in range(1, classes))]
    confusion_figure(matrix, names).savefig(tmp_path / "matrix.png", dpi=60)
    with Image.open(tmp_path / "matrix.png") as picture:
        assert picture.width < 1500
