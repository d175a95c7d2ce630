"""A trial's folder: what lies there is used or left alone, and why a run failed is said in a line."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.sweeps.claims import Attempt, latest_attempts, look_for_work
from lightning_recipes.sweeps.plan import SweepPlan, runs_of, trial_folder
from lightning_recipes.sweeps.process import environment
from lightning_recipes.sweeps.report import write_report
from lightning_recipes.sweeps.run_result import interval_of_mean, result_of, why_it_failed
from lightning_recipes.sweeps.space import parse_space
from lightning_recipes.sweeps.study import Study, keep_settings, open_storage, open_study
from lightning_recipes.sweeps.trial import Trial, recipe_text
from lightning_recipes.sweeps.workers import Watch, this_process

SUMMARY = {
    "finished": True, "monitor": "val_accuracy", "best_score": 0.75, "val_accuracy_ci95": [0.7, 0.8], "seconds": 2.0,
    "weights_sha256": "abc", "diverged_at_epoch": None,
}  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> SweepPlan:
    recipe: dict[str, Any] = {"seed_everything": 0, "model": {"class_path": "x.Model", "init_args": {"lr": 1.0}}}
    return SweepPlan(
        recipe=recipe, space=parse_space({"model.lr": {"log": [1e-4, 1e-2]}}), out=tmp_path, trials=1, sampler="random",
        seed=0, runs=runs_of(0, 1, None), metric="val_accuracy", mode="max", prune=False, min_epochs=1, reduction=3,
        minutes=None,
    )  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(open_storage(tmp_path, None), "sweep", mode="max", settings={}, where="here")


def claim(study: Study, plan: SweepPlan) -> Attempt:
    one = look_for_work(
        study, plan.space, 1, worker=this_process(), watch=Watch(), draw=lambda number: {"model.lr": 0.001}
    )
    assert one is not None
    return one


def folder_with_a_run(plan: SweepPlan, recipe: str) -> Path:
    folder = trial_folder(plan.out, 0)
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "config.yaml").write_text("")
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "metrics.csv").write_text(
        "epoch,step,val_accuracy,train_loss\n0,3,0.5,\n0,3,,2.0\n1,7,0.75,\n1,7,,1.0\n2,9,,1"
    )
    return folder


def test_a_run_that_is_finished_is_not_run_again(study: Study, plan: SweepPlan) -> None:
    """Its worker was killed after the run's end, before it could say so."""
    folder = folder_with_a_run(plan, recipe_text(plan, {"model.lr": 0.001}))
    ended = Trial(study, plan, claim(study, plan), {}).advance()
    assert ended is not None
    assert (ended.state, ended.metric) == ("COMPLETE", 0.75)
    assert not (folder / "log.txt").exists()
    one = latest_attempts(study.trials())[0]
    assert one.trial.intermediate_values == {1: 0.5, 2: 0.75}
    (entry,) = write_report(study, plan)["trials"]
    assert (entry["metric"], entry["ci95"], entry["weights_sha256"]) == (0.75, [0.7, 0.8], ["abc"])
    assert (
        (plan.out / "best.yaml")
        .read_text()
        .splitlines()[0]
        .endswith("val_accuracy 75.0 % (95 % interval 70.0 to 80.0 %).")
    )


def test_a_folder_with_the_runs_of_other_values_is_left_alone(study: Study, plan: SweepPlan) -> None:
    """As of a database that was emptied: the result would be another value's."""
    folder = folder_with_a_run(plan, recipe_text(plan, {"model.lr": 0.002}))
    ended = Trial(study, plan, claim(study, plan), {}).advance()
    assert ended is not None
    assert ended.state == "FAIL"
    assert ended.reason == f"{folder} holds runs of another recipe; move it away, and begin the sweep anew"
    assert "lr: 0.002" in (folder / "recipe.yaml").read_text()


def test_a_trial_that_others_have_taken_is_dropped(study: Study, plan: SweepPlan) -> None:
    trial = Trial(study, plan, claim(study, plan), {})
    trial.drop()
    ended = trial.advance()
    assert ended is not None
    assert ended.state == "abandoned"
    assert latest_attempts(study.trials())[0].state == "running", "it is somebody else's to end"


def test_a_run_that_diverges_at_once_is_pruned_without_a_metric(
    study: Study, plan: SweepPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with_a_run(plan, recipe_text(plan, {"model.lr": 0.001}))
    (folder / "summary.json").unlink()
    (folder / "metrics.csv").write_text("epoch,step,val_accuracy\n0,3,nan\n")
    trial = Trial(study, dataclasses.replace(plan, prune=True), claim(study, plan), environment())
    monkeypatch.setattr("lightning_recipes.sweeps.trial.python", lambda *words: ["sleep", "60"])
    end = time.monotonic() + 30
    while (ended := trial.advance()) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (ended.state, ended.metric) == ("PRUNED", None)
    (entry,) = write_report(study, plan)["trials"]
    assert (entry["state"], entry["metric"]) == ("pruned", None)


@pytest.mark.parametrize(
    ("changes", "code", "said", "reason"),
    [
        ({}, 2, "line\nlightning-recipes: model.lr: -1 is not a number > 0\n\n", "model.lr: -1 is not a number > 0"),
        ({}, 1, "Traceback\n  File x\nRuntimeError: CUDA out of memory.\n", "RuntimeError: CUDA out of memory."),
        ({"diverged_at_epoch": 3}, 1, "anything", "diverged at epoch 3"),
        ({}, 137, "anything", "killed (SIGKILL: out of memory, or by hand)"),
        ({}, 7, "", "exit code 7"),
    ],
)
def test_the_reason_is_what_the_run_said_last(
    changes: dict[str, Any], code: int, said: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, **changes}))
    (tmp_path / "log.txt").write_text(said)
    assert why_it_failed(tmp_path, tmp_path / "log.txt", code) == reason


def test_a_run_without_a_finite_score_has_failed(tmp_path: Path) -> None:
    assert result_of(tmp_path, "val_accuracy") == "the run wrote no summary.json"
    for changes, reason in (
        ({"best_score": None}, "val_accuracy is None"),
        ({"best_score": None, "diverged_at_epoch": 0}, "diverged at epoch 0"),
        ({"monitor": "val_loss"}, "the run was judged by val_loss, and the sweep is by val_accuracy; give"),
    ):
        (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, **changes}))
        found = result_of(tmp_path, "val_accuracy")
        assert isinstance(found, str)
        assert found.startswith(reason)


def test_the_interval_of_a_mean_is_students() -> None:
    """Worked by hand: mean 3, deviation 1.5811, t of four degrees of freedom 2.7764."""
    assert interval_of_mean([1, 2, 3, 4, 5]) == pytest.approx([3 - 1.9632, 3 + 1.9632], abs=1e-4)
    assert interval_of_mean([1.0]) is None


def test_the_settings_of_who_came_first_stay(tmp_path: Path) -> None:
    keep_settings(tmp_path / "settings.json", {"a": 1})
    keep_settings(tmp_path / "settings.json", {"a": 2})
    assert json.loads((tmp_path / "settings.json").read_text()) == {"a": 1}
