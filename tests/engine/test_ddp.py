"""Two gloo processes on the CPU: equal ranks after unfreezing, and together one process of twice the batch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from lightning_recipes import EMA, L1, EarlyStopping, GradientClipping, GradientNoise, MaxNorm, MicroBatches, Mixing
from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.lr_finder import LearningRateFinder
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.loading import decoded_cache
from lightning_recipes.data.sources.digits import ArraySource
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.stages.plan import Stage
from tests.small import QUIET, classifier, digits, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
TWO: dict[str, Any] = {"strategy": "ddp_fork", "devices": 2}


class KeepWeights(pl.Callback):
    """Each rank writes its weights at the end of each epoch, as children's memory is gone with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        state = {name: p.detach().clone() for name, p in pl_module.named_parameters()}
        torch.save(state, self.folder / f"epoch{trainer.current_epoch}-rank{trainer.global_rank}.pt")
        torch.save(
            dict(trainer.callback_metrics), self.folder / f"metrics{trainer.current_epoch}-rank{trainer.global_rank}.pt"
        )


def stages(*, cache_features: bool, feature_views: int | None = None) -> Stages:
    return Stages(
        [
            Stage("head", 1, "head", lr=0.05, cache_features=cache_features, feature_views=feature_views),
            Stage("some", epochs=1, train=2, lr=0.02),
            Stage("all", epochs=1, lr=0.01, lr_decay=0.5, schedule="one_cycle"),
        ]
    )


def train(folder: Path, batch_size: int, *, cache: bool, views: int | None = None, **options: Any) -> None:
    folder.mkdir()
    model = classifier(backbone_kwargs={}, optimizer={"name": "sgd", "momentum": 0.9}, freeze_norm_stats=True)
    data = digits(batch_size=batch_size, augment="light", val_fraction=0.0198)  # an odd number of validation images
    fit(
        model,
        data,
        stages(cache_features=cache, feature_views=views),
        KeepWeights(folder),
        RunSummary(str(folder)),
        max_epochs=-1,
        **options,
    )


def load(folder: Path, name: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / f"{name}.pt", weights_only=True)
    return state


@pytest.mark.parametrize(("cache", "views"), [(True, None), (True, 1), (False, None)])
def test_ranks_agree_and_equal_one_process_of_twice_the_batch(tmp_path: Path, cache: bool, views: int | None) -> None:
    train(tmp_path / "two", 5, cache=cache, views=views, **TWO)
    train(tmp_path / "one", 10, cache=cache, views=views)
    for epoch in range(3):
        first, second = (load(tmp_path / "two", f"epoch{epoch}-rank{rank}") for rank in (0, 1))
        single = load(tmp_path / "one", f"epoch{epoch}-rank0")
        for name in single:
            assert torch.equal(first[name], second[name]), f"epoch {epoch}: ranks differ in {name}"
            torch.testing.assert_close(first[name], single[name], rtol=1e-4, atol=1e-5)
    moved = load(tmp_path / "one", "epoch2-rank0")
    before = load(tmp_path / "one", "epoch0-rank0")
    assert any(not torch.equal(moved[name], before[name]) for name in moved if name.startswith("backbone.conv1"))


def test_figures_of_two_processes_are_those_of_all_images(tmp_path: Path) -> None:
    train(tmp_path / "two", 5, cache=False, **TWO)
    train(tmp_path / "one", 10, cache=False)
    two, one = (load(tmp_path / run, "metrics2-rank0") for run in ("two", "one"))
    for name in ("val_loss", "val_accuracy", "val_f1", "val_ece", "train_loss", "train_accuracy"):
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-4)
    rows = [(tmp_path / run / "val_predictions.csv").read_text().splitlines() for run in ("two", "one")]
    assert [row.split(",")[:3] for row in rows[0]] == [row.split(",")[:3] for row in rows[1]]


def test_a_picture_is_decoded_by_one_process_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ArraySource.read

    def noted(self: ArraySource, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        with (tmp_path / "reads.txt").open("a") as file:
            file.write(f"{self.paths[index]}\n")
        return read(self, index, min_size)

    monkeypatch.setattr(ArraySource, "read", noted)
    monkeypatch.setattr(decoded_cache, "LOOKED_AT", 1)
    weights = {}
    for cache in (None, "decoded"):
        (tmp_path / "reads.txt").write_text("")
        model, data = classifier(), digits(batch_size=5, augment="light", cache=cache)
        folder = tmp_path / str(cache)
        folder.mkdir()
        fit(model, data, KeepWeights(folder), max_epochs=4, **TWO)
        weights[cache] = load(folder, "epoch3-rank0")
    assert all(torch.equal(value, weights["decoded"][name]) for name, value in weights[None].items())
    reads = (tmp_path / "reads.txt").read_text().split()
    looked_at, together = 2, 2  # the latter at the same moment, by chance: validation pads its last batch
    assert len(reads) <= len(set(reads)) + looked_at + together


def finder_and_snapshots(folder: Path, finder: bool, **options: Any) -> None:
    folder.mkdir()
    model = classifier(pretrained="embedded:letters", lr=0.01)
    cycles = {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1}
    plan = Stages(
        [
            Stage("head", epochs=1, train="head", lr=0.01, cache_features=True),
            Stage("all", epochs=2, lr=0.01, lr_decay=0.5, schedule=cycles),
        ]
    )
    test = [LearningRateFinder(apply=False, steps=12, orders=2, max_lr=1.0, min_lr=1e-4)] if finder else []
    callbacks = [plan, *test, SnapshotEnsemble(), KeepWeights(folder)]
    data = digits(batch_size=5, augment="medium", val_fraction=0.0198)
    fit(model, data, *callbacks, max_epochs=-1, default_root_dir=str(folder), **options)


@pytest.mark.slow
def test_the_finder_leaves_no_trace_on_two_processes_and_the_ensemble_is_judged_on_all_images(tmp_path: Path) -> None:
    finder_and_snapshots(tmp_path / "with", True, **TWO)
    finder_and_snapshots(tmp_path / "without", False, **TWO)
    for rank in (0, 1):
        first, second = (load(tmp_path / run, f"epoch2-rank{rank}") for run in ("with", "without"))
        for name in first:
            assert torch.equal(first[name], second[name]), f"rank {rank}: the finder changed {name}"
    found = json.loads((tmp_path / "with" / "lr_finder.json").read_text())
    assert list(found) == ["head", "all"]
    assert min(found["head"]["losses"][0]) < 0.9 * found["head"]["losses"][0][0]
    judged = json.loads((tmp_path / "with" / "snapshots" / "ensemble.json").read_text())
    assert judged["val_images"] == 39
    assert len(judged["last"]) == 2
    again = EnsembleClassifier.from_snapshots(tmp_path / "with" / "snapshots", classifier())
    figures = pl.Trainer(**QUIET).validate(again, datamodule=digits(val_fraction=0.0198), verbose=False)[0]
    assert figures["val_accuracy"] == pytest.approx(judged["last"][-1]["accuracy"])


class KeepFinal(KeepWeights):
    """Each rank writes the weights that the fit leaves."""

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        state = {name: p.detach().clone() for name, p in pl_module.named_parameters()}
        torch.save(state, self.folder / f"final-rank{trainer.global_rank}.pt")


def inside_a_step(folder: Path, batch_size: int, *more: pl.Callback, **options: Any) -> None:
    folder.mkdir()
    model = classifier(backbone_kwargs={}, optimizer={"name": "sgd", "momentum": 0.9}, freeze_norm_stats=True)
    data = digits(batch_size=batch_size, augment="light", val_fraction=0.0198)
    callbacks = [GradientNoise(1e-4), L1(1e-4, every_n_steps=2), GradientClipping("norm", 0.5)]
    callbacks += [MaxNorm(1.0), EMA(0.9, 1)]
    stop = EarlyStopping(patience=0, min_delta=0.9, scope="stage")
    fit(model, data, stages(cache_features=False), *more, *callbacks, stop, KeepFinal(folder), max_epochs=-1, **options)


def test_what_happens_inside_a_step_is_that_of_one_process_of_twice_the_batch(tmp_path: Path) -> None:
    inside_a_step(tmp_path / "two", 5, **TWO)
    inside_a_step(tmp_path / "one", 10)
    for name in ("epoch0", "epoch2", "final"):
        first, second = (load(tmp_path / "two", f"{name}-rank{rank}") for rank in (0, 1))
        single = load(tmp_path / "one", f"{name}-rank0")
        for tensor in single:
            assert torch.equal(first[tensor], second[tensor]), f"{name}: ranks differ in {tensor}"
            torch.testing.assert_close(first[tensor], single[tensor], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_parts_of_a_batch_are_added_up_before_the_processes_are(tmp_path: Path, accumulate: int) -> None:
    options: dict[str, Any] = {"accumulate_grad_batches": accumulate}
    inside_a_step(tmp_path / "parts", 5, MicroBatches(2, trial=False), **TWO, **options)
    inside_a_step(tmp_path / "tried", 5, MicroBatches(), **TWO, **options)
    inside_a_step(tmp_path / "whole", 5, **TWO, **options)
    for run in ("parts", "tried"):
        first, second = (load(tmp_path / run, f"final-rank{rank}") for rank in (0, 1))
        whole = load(tmp_path / "whole", "final-rank0")
        for tensor in whole:
            assert torch.equal(first[tensor], second[tensor]), f"{run}: ranks differ in {tensor}"
            torch.testing.assert_close(first[tensor], whole[tensor], rtol=1e-3, atol=1e-4)


def test_each_process_mixes_its_own_images_and_the_ranks_agree(tmp_path: Path) -> None:
    inside_a_step(tmp_path / "two", 5, Mixing(0.4, 1.0), **TWO)
    first, second = (load(tmp_path / "two", f"final-rank{rank}") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_predictions_of_two_processes_are_all_of_them_in_the_order_of_the_images(tmp_path: Path) -> None:
    data = digits(val_fraction=0.0198)
    best = BestCheckpoint(dirpath=str(tmp_path))
    head = Stages([Stage("head", epochs=1, train="head", lr=0.05)])
    names = data.classes
    fit(classifier(class_names=names), data, head, best, max_epochs=-1, enable_checkpointing=True)
    for devices in ("1", "2"):
        command = [sys.executable, "-m", "lightning_recipes", "predict", "--ckpt_path", str(tmp_path / "best.ckpt")]
        options = ["--run_dir", str(tmp_path / devices), "--trainer.accelerator", "cpu", "--trainer.devices", devices]
        subprocess.run([*command, *options], cwd=Path(__file__).parents[2], check=True)
    one, two = ((tmp_path / devices / "predictions.csv").read_text().splitlines() for devices in ("1", "2"))
    assert len(one) == len(data.opened.splits.val) + 1
    assert [row.split(",")[:2] for row in one] == [row.split(",")[:2] for row in two]
