"""Error analysis in a run: files, figures that agree with the predictions beside them, and a training left alone."""

import csv
import dataclasses
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_recipes import (
    BestCheckpoint,
    ErrorAnalysis,
    ImageClassifier,
    ImageDataModule,
    RunSummary,
    Stage,
    Stages,
    UserError,
    load,
)
from lightning_recipes.data.sources.source import Subset
from lightning_recipes.figures.confusion import confusion_figure
from tests.small import KeepEvery, classifier, digits, fit


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
    assert {issue["path"] for issue in issues} >= {r["path"] for r in rows if r["true"] != r["predicted"]}
    assert all(paths[issue["path"]]["true"] == issue["given"] != issue["suggested"] for issue in issues)
    sure = [issue["confident"] == "true" for issue in issues]
    assert sure == sorted(sure, reverse=True)
    doubted = [issue for issue in issues if issue["confident"] == "false"]
    assert all(paths[issue["path"]]["predicted"] == issue["suggested"] for issue in doubted)
    for name in ("confusion.png", "calibration.png"):
        with Image.open(tmp_path / "with" / "figures" / name) as picture:
            assert picture.width > 400
    assert errors["diagnosis"]
    train, model = digits(val_fraction=0.1).opened.splits.train, load(tmp_path / "with" / "best.ckpt")
    says = model.predict([train.read(position, 64) for position in range(len(train))])
    right = sum(said.label == train.classes[label] for said, label in zip(says, train.labels, strict=True))
    assert errors["training"] == {"images": len(train), "correct": right}  # of the best epoch, not augmented


def test_a_run_that_goes_on_knows_the_losses_of_all_its_epochs(tmp_path: Path) -> None:
    whole, _ = analysed(tmp_path / "whole", ErrorAnalysis(), KeepEvery(tmp_path, "step"))
    again, _ = analysed(tmp_path / "whole", ErrorAnalysis(), ckpt_path=tmp_path / "step-08.ckpt")
    assert again["diagnosis"] == whole["diagnosis"]


class Flipped(ImageDataModule):
    """Digits of which one training label in twenty is wrong."""

    @cached_property
    def opened(self) -> Any:
        opened = super().opened
        train = Subset(opened.splits.train, np.arange(len(opened.splits.train)))
        train.labels[::20] = (train.labels[::20] + 1) % 10
        return dataclasses.replace(opened, splits=dataclasses.replace(opened.splits, train=train))


def test_training_labels_that_were_flipped_are_found(tmp_path: Path) -> None:
    data = Flipped("sklearn:digits", images_per_class=40, image_size=32, batch_size=50, augment="none", num_workers=0)
    model = ImageClassifier("test_resnet", 10, pretrained="embedded:letters", lr=0.01)
    stages = Stages([Stage("head", epochs=5, train="head", cache_features=True)])
    fit(model, data, stages, ErrorAnalysis(label_folds=5), max_epochs=-1, default_root_dir=str(tmp_path))
    with (tmp_path / "label_issues.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    flipped = {str(data.opened.splits.train.paths[i]) for i in range(0, 400, 20)}
    assert len(flipped & {row["path"] for row in rows[:40]}) >= 0.7 * len(flipped)


def test_more_folds_than_images_are_one_line_before_anything_is_trained(tmp_path: Path) -> None:
    model = classifier()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=r"^ErrorAnalysis\.label_folds: 5 folds, but class '0' has 4 training images"):
        fit(model, digits(), ErrorAnalysis(label_folds=5), max_epochs=1, default_root_dir=str(tmp_path))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(tmp_path.iterdir())
    fit(classifier(), digits(), ErrorAnalysis(label_folds=5, run=False), max_epochs=1, default_root_dir=str(tmp_path))
    with pytest.raises(UserError, match="label_folds: 1 is not"):
        ErrorAnalysis(label_folds=1)


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
