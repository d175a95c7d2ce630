"""A network of somebody's own is recorded, judged, averaged over its snapshots and loaded as ours is."""

import json
from pathlib import Path

import pytest
import torch

import lightning_recipes as lr
from tests.foreign.two_layers import TwoLayers
from tests.small import digits, fit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_layers") / "run"
    torch.manual_seed(0)
    data = digits(images_per_class=20, val_fraction=0.1, image_size=32)
    model = TwoLayers(10, data.classes, lr=0.01)
    restarts = {"name": "warm_restarts", "cycle_epochs": 1}  # the second cycle has two epochs
    stages = [lr.Stage("last", epochs=1, train="head"), lr.Stage("all", epochs=3, schedule=restarts)]
    callbacks = [lr.EMA(0.9), lr.SnapshotEnsemble(["all"]), lr.Stages(stages), lr.RunRecorder(folder)]
    fit(model, data, *callbacks, max_epochs=-1, enable_checkpointing=True)
    return folder


def test_what_is_loaded_says_what_the_run_reports(run: Path) -> None:
    model = lr.load(run / "checkpoints" / "best.ckpt")
    assert isinstance(model, TwoLayers)
    summary = json.loads((run / "summary.json").read_text())
    val = digits(images_per_class=20, val_fraction=0.1).opened.splits.val
    said = model.predict([val.read(index) for index in range(len(val))])
    right = [one.label == val.classes[label] for one, label in zip(said, val.labels, strict=True)]
    assert sum(right) / len(right) == pytest.approx(summary["val_accuracy"], abs=1e-6)
    assert summary["val_accuracy"] > 0.4  # of ten classes


def test_its_snapshots_are_judged_together(run: Path) -> None:
    judged = json.loads((run / "snapshots" / "ensemble.json").read_text())
    assert len(judged["last"]) == 2
    ensemble = lr.load(run / "snapshots")
    assert isinstance(ensemble, lr.EnsembleClassifier)
    assert all(isinstance(member, TwoLayers) for member in ensemble.members)


def test_class_weights_of_a_loss_of_ones_own_may_be_a_list() -> None:
    model = TwoLayers(10)
    vars(model.loss)["class_weights"] = [1.0] * 9 + [3.0]
    assert float(model.loss_weight(torch.tensor([0, 9]))) == 4.0
