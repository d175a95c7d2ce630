"""What trials say together: keys that matter, and what the best is worth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_recipes.sweeps.analysis import analyse
from lightning_recipes.sweeps.importance import importances
from lightning_recipes.sweeps.page import chosen_in_words, write_page
from lightning_recipes.sweeps.plan import RunPlan, SweepPlan
from lightning_recipes.sweeps.space import Space, parse_space
from lightning_recipes.sweeps.values import values_of
from tests.comparison.runs import write_run

SPACE = parse_space(
    {
        "model.lr": {"log": [1e-4, 1e-1]},
        "model.dropout": {"uniform": [0, 0.5]},
        "model.optimizer": {"choice": ["sgd", "adamw"]},
        "model.optimizer.momentum": {"uniform": [0.5, 0.99], "when": {"model.optimizer": "sgd"}},
    }
)


def entries(space: Space, count: int) -> list[dict[str, Any]]:
    """Trials whose metric is the learning rate's, a little the momentum's, and luck."""
    generator, made = np.random.default_rng(0), []
    for number in range(count):
        values = values_of(space, number, seed=0, sampler="random")
        metric = 0.9 - 0.05 * abs(np.log10(values["model.lr"]) + 2) + generator.normal(0, 0.003)
        folder = f"trials/{number:04d}"
        entry = {"number": number, "values": values, "metric": float(metric), "ci95": None, "state": "complete"}
        own = {"run_dir": folder, "runs": [folder], "weights_sha256": [str(number)]}
        made.append(entry | {"reason": None, "seconds": 1.0, **own})
    return made


def plan_for(out: Path, metric: str = "val_accuracy") -> SweepPlan:
    return SweepPlan(
        recipe={},
        space=SPACE,
        out=out,
        trials=24,
        sampler="random",
        seed=0,
        runs=(RunPlan(""),),
        metric=metric,
        mode="max",
        prune=False,
        min_epochs=1,
        reduction=3,
        minutes=None,
    )


def test_the_key_that_the_metric_is_made_of_matters_most() -> None:
    found = importances(SPACE, entries(SPACE, 40))
    assert found[0]["key"] == "model.lr"
    assert found[0]["importance"] > 0.7
    assert all(0 <= row["low"] <= row["importance"] <= row["high"] <= 1 for row in found)
    by_key = {row["key"]: row for row in found}
    assert by_key["model.dropout"]["importance"] < 0.15
    assert by_key["model.optimizer.momentum"]["trials"] < by_key["model.lr"]["trials"] == 40


def test_of_few_trials_or_equal_ones_nothing_is_said() -> None:
    assert importances(SPACE, entries(SPACE, 7)) == []
    same = [entry | {"metric": 0.5} for entry in entries(SPACE, 20)]
    assert importances(SPACE, same) == []


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_recipes.sweeps.importance.RESAMPLES", 3)  # a tenth of a second each


@pytest.fixture
def sweep(tmp_path: Path) -> dict[str, Any]:
    """Trials that all have nine of ten images right, each others."""
    generator, made = np.random.default_rng(1), entries(SPACE, 24)
    for entry in made:
        right = (generator.random(200) < 0.9).tolist()
        write_run(tmp_path / entry["run_dir"], right)
        entry["metric"] = sum(right) / 200
        entry["ci95"] = [entry["metric"] - 0.04, entry["metric"] + 0.04]
    best = max(made, key=lambda entry: float(entry["metric"]))
    return {"trials": made, "best": best["number"], "test": None}


def test_the_best_of_many_is_corrected_for_having_been_chosen(tmp_path: Path, sweep: dict[str, Any]) -> None:
    plan = plan_for(tmp_path)
    found = analyse(plan, sweep)
    assert found == json.loads((tmp_path / "analysis.json").read_text())
    chosen = found["chosen"]
    assert chosen["images"] == 200
    assert chosen["value"] == max(entry["metric"] for entry in sweep["trials"]) > 0.92
    assert chosen["corrected"] == pytest.approx(0.9, abs=0.02)
    assert "The best of 24 trials has val_accuracy" in chosen_in_words(plan, found)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert figures == {"history", "slices", "parallel", "importance"}
    page = write_page(plan, sweep, found).read_text()
    assert "Corrected for the choice" in page
    assert page.count("data:image/png") == 4


def test_a_key_whose_values_give_the_same_weights_has_no_effect(tmp_path: Path, sweep: dict[str, Any]) -> None:
    trials = sweep["trials"]
    trials[5] |= {"values": trials[2]["values"] | {"model.lr": 0.05}, "weights_sha256": trials[2]["weights_sha256"]}
    found = analyse(plan_for(tmp_path), sweep)
    assert found["without_effect"] == ["model.lr"]
    assert "other values of model.lr: in this recipe" in write_page(plan_for(tmp_path), sweep, found).read_text()


def test_where_it_cannot_be_corrected_it_says_why(tmp_path: Path, sweep: dict[str, Any]) -> None:
    plan = plan_for(tmp_path)
    (tmp_path / "trials/0003/val_predictions.csv").unlink()
    assert "0003 is on another machine" in chosen_in_words(plan, analyse(plan, sweep))
    other = plan_for(tmp_path, "val_ece")
    assert "val_ece is no mean over images" in chosen_in_words(other, analyse(other, sweep))


def test_a_sweep_of_which_nothing_is_complete_has_a_page(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    failed = [
        entry | {"state": "failed", "metric": None, "reason": "diverged at epoch 0"} for entry in entries(SPACE, 3)
    ]
    report = {"trials": failed, "best": None, "test": None}
    assert "diverged at epoch 0" in write_page(plan, report, analyse(plan, report)).read_text()
