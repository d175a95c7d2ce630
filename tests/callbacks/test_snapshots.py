"""Snapshots: when they are taken, what the ensemble reaches, and that it is a module like any other."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from lightning_recipes.callbacks.on_plateau import OnPlateau
from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.mean_probabilities import average_weights, disagreement, judge, means_of_last
from lightning_recipes.models.norm_statistics import reestimate_statistics
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.stages.plan import Stage
from tests.small import QUIET, KeepEvery, classifier, digits, fit

CYCLES = {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 2}


def plan() -> Stages:
    return Stages(
        [
            Stage("head", epochs=1, train="head", lr=0.01, cache_features=True),
            Stage("all", epochs=7, lr=3e-3, schedule=CYCLES),
        ]
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.LightningModule, SnapshotEnsemble]:
    folder, model, callback = tmp_path_factory.mktemp("run"), classifier(lr=0.01), SnapshotEnsemble()
    fit(model, digits(val_fraction=0.2), plan(), callback, max_epochs=-1, default_root_dir=str(folder))
    return folder, model, callback


def test_a_snapshot_is_taken_at_the_end_of_each_cycle_with_its_figures(finished: Any) -> None:
    folder, model, _ = finished
    names = sorted(path.name for path in (folder / "snapshots").glob("*.safetensors"))
    assert names == ["cycle_01.safetensors", "cycle_02.safetensors", "cycle_03.safetensors"]
    sidecars = [json.loads((folder / "snapshots" / name).with_suffix(".json").read_text()) for name in names]
    assert [s["epoch"] for s in sidecars] == [1, 3, 7]  # one of the head, then cycles of 1, 2 and 4
    assert all(0 <= s["val_accuracy"] <= 1 and s["val_loss"] > 0 for s in sidecars)
    ensemble = EnsembleClassifier.from_snapshots(folder / "snapshots", classifier())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, ensemble.members[-1].state_dict()[name]), name  # the last one is the end of the run


def test_single_figures_are_those_of_the_epochs_and_the_ensembles_are_scikit_learns(finished: Any) -> None:
    folder, _, callback = finished
    result = callback.result
    for row, name in zip(result["single"], result["members"], strict=True):
        sidecar = json.loads((folder / "snapshots" / name).with_suffix(".json").read_text())
        assert row["accuracy"] == pytest.approx(sidecar["val_accuracy"])
        assert row["loss"] == pytest.approx(sidecar["val_loss"], rel=1e-4)
    ensemble = EnsembleClassifier.from_snapshots(folder / "snapshots", classifier())
    data, each = digits(val_fraction=0.2), []
    for member in ensemble.members:
        outputs: Any = pl.Trainer(**QUIET).predict(member, datamodule=data)  # type: ignore[arg-type]
        each.append(np.concatenate([output["probabilities"].numpy() for output in outputs]))
    labels = np.asarray(data.opened.splits.val.labels)
    for m in (1, 2, 3):
        mean = np.mean(each[-m:], axis=0)
        assert result["last"][m - 1]["accuracy"] == pytest.approx(accuracy_score(labels, mean.argmax(1)))
        assert result["last"][m - 1]["loss"] == pytest.approx(log_loss(labels, mean, labels=range(10)), rel=1e-3)
    assert result["disagreement"][0][2] == pytest.approx(np.mean(each[0].argmax(1) != each[2].argmax(1)))


def test_the_ensemble_validates_like_any_module(finished: Any) -> None:
    folder, _, callback = finished
    ensemble = EnsembleClassifier.from_snapshots(folder / "snapshots", classifier())
    figures = pl.Trainer(**QUIET).validate(ensemble, datamodule=digits(val_fraction=0.2), verbose=False)[0]
    assert figures["val_accuracy"] == pytest.approx(callback.result["last"][-1]["accuracy"])
    assert figures["val_loss"] == pytest.approx(callback.result["last"][-1]["loss"], rel=1e-4)
    assert (folder / "figures" / "snapshots.png").stat().st_size > 10_000


def test_fewer_members_can_be_asked_for(tmp_path: Path) -> None:
    callback = SnapshotEnsemble(last=2, soup=False)
    fit(classifier(lr=0.01), digits(), plan(), callback, max_epochs=-1, default_root_dir=str(tmp_path))
    assert callback.result is not None
    assert callback.result["members"] == ["cycle_02.safetensors", "cycle_03.safetensors"]
    assert callback.result["soup"] is None
    assert len(EnsembleClassifier.from_snapshots(tmp_path / "snapshots", classifier()).members) == 2


# Inside the second cycle, at its end, inside the third.
@pytest.mark.slow
@pytest.mark.parametrize("stops", [["10"], ["12", "15"]], ids=str)
def test_a_run_with_snapshots_is_the_run_without_them_and_a_resumed_one_has_the_same(
    stops: list[str], tmp_path: Path
) -> None:
    def run(name: str, *callbacks: pl.Callback, ckpt_path: Path | None = None) -> str:
        keep = KeepEvery(tmp_path, name)
        return fit(
            classifier(lr=0.01), digits(), plan(), *callbacks, keep, max_epochs=-1, ckpt_path=ckpt_path,
            enable_checkpointing=True, default_root_dir=str(tmp_path / name),
        )[1]  # fmt: skip

    whole = SnapshotEnsemble()
    sha = run("whole", whole)
    assert run("without") == sha
    for stop in stops:
        again = SnapshotEnsemble()
        (tmp_path / "again").mkdir(exist_ok=True)
        for path in (tmp_path / "whole" / "snapshots").glob("cycle_0[12].*"):
            (tmp_path / "again" / "snapshots").mkdir(exist_ok=True)
            (tmp_path / "again" / "snapshots" / path.name).write_bytes(path.read_bytes())
        assert run("again", again, ckpt_path=tmp_path / f"whole-{stop}.ckpt") == sha
        assert again.result == whole.result
        assert [row["val_loss"] for row in again.history] == [row["val_loss"] for row in whole.history]


def test_a_plan_without_cycles_or_with_cycles_inside_epochs_is_refused(tmp_path: Path) -> None:
    options = {"max_epochs": 2, "default_root_dir": str(tmp_path)}
    with pytest.raises(UserError, match="no stage has a cycle that ends"):
        fit(classifier(schedule="cosine"), digits(), SnapshotEnsemble(), **options)  # type: ignore[arg-type]
    schedule = {"name": "warm_restarts", "cycle_epochs": 0.5, "cycle_mult": 1}
    with pytest.raises(UserError, match=r"ends inside an epoch, after 0\.5 of them"):
        fit(classifier(schedule=schedule), digits(), SnapshotEnsemble(), **options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="there is no stage 'al'"):
        fit(classifier(schedule=CYCLES), digits(), SnapshotEnsemble(stages=["al"]), **options)  # type: ignore[arg-type]


def test_a_folder_without_snapshots_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no snapshots .* give the snapshots folder of a run"):
        EnsembleClassifier.from_snapshots(tmp_path, classifier())


def test_the_mean_of_the_last_members_by_hand() -> None:
    probabilities = torch.tensor([[[0.9, 0.1], [0.4, 0.6]], [[0.2, 0.8], [0.6, 0.4]]])  # two images, two members
    labels = torch.tensor([0, 1])
    one, two = (judge(mean, labels) for mean in means_of_last(probabilities))
    assert (one.correct, two.correct) == (0, 2)
    assert two.loss == pytest.approx(-np.log([0.65, 0.6]).mean(), rel=1e-6)
    assert disagreement(probabilities) == [[0.0, 1.0], [1.0, 0.0]]


def test_a_soup_is_the_mean_of_weights_and_its_statistics_those_of_its_own_activations() -> None:
    states = [
        {"w": torch.tensor([1.0, 3.0]), "n": torch.tensor(4)},
        {"w": torch.tensor([3.0, 5.0]), "n": torch.tensor(6)},
    ]
    soup = average_weights(states)
    assert soup["w"].tolist() == [2.0, 4.0]
    assert soup["n"].item() == 6
    norm = torch.nn.BatchNorm2d(2).eval()
    images = torch.randn(3, 8, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 + 5
    assert reestimate_statistics(norm, images) == 1
    assert not norm.training
    torch.testing.assert_close(norm.running_mean, images.mean(dim=(0, 1, 3, 4)))
    torch.testing.assert_close(
        norm.running_var, torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in images]).mean(0)
    )


@pytest.mark.parametrize("action", ["end_stage", "restart"])
def test_a_stage_that_was_changed_on_the_way_is_no_obstacle_to_its_ensemble(action: Any, tmp_path: Path) -> None:
    stages = Stages(
        [Stage("first", epochs=3, lr=3e-3), Stage("all", epochs=2, lr=3e-3, schedule={**CYCLES, "cycle_mult": 1})]
    )
    watch, callback = OnPlateau(action, patience=0, min_delta=0.9, stages=["first"]), SnapshotEnsemble()
    fit(classifier(), digits(), stages, watch, callback, max_epochs=-1, default_root_dir=str(tmp_path))
    assert callback.result is not None
    assert len(callback.result["members"]) == 2
