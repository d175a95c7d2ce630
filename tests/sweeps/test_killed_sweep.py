"""A sweep whose workers are killed ends as if they had not been, and leaves nothing behind."""

from functools import partial
from pathlib import Path

import pytest

from lightning_recipes.__main__ import main
from lightning_recipes.run.reader import RunContents
from lightning_recipes.sweeps.study import open_storage
from tests.sweeps.sweeping import (
    TINY,
    kill,
    processes_of,
    report,
    start_sweep,
    training,
    wait_for_no_process_of,
    wait_until,
    write_files,
)

TRIALS = 8
"""Twenty-four come to the same, in ten minutes more."""


@pytest.mark.slow
def test_three_trials_of_a_killed_worker_are_done_by_the_same_command(tmp_path: Path) -> None:
    write_files(tmp_path, TINY.replace("{name: all, epochs: 2", "{name: all, epochs: 12"))
    out, words = tmp_path / "out", ("--trials", "3", "--out", str(tmp_path / "out"))
    worker = start_sweep(tmp_path, "first", *words)
    assert wait_until(lambda: (out / "trials" / "0001" / "checkpoints" / "last.ckpt").exists(), worker)
    kill(worker)
    assert wait_for_no_process_of(out) == []
    assert not (out / "trials" / "0001" / "summary.json").exists() or not _finished(out / "trials" / "0001")
    again = start_sweep(tmp_path, "second", *words)
    assert again.wait() == 0, (tmp_path / "second.txt").read_text()
    said = (tmp_path / "second.txt").read_text()
    assert "trial 0:" not in said
    assert "trial 1: " in said
    assert " began (again, after 1 given up)" in said
    found = report(out)
    assert [(entry["number"], entry["state"]) for entry in found["trials"]] == [(k, "complete") for k in range(3)]
    assert processes_of(out) == []
    # The one that was killed is what it would have been: here is one that was not.
    recipe = str(out / "trials" / "0001" / "recipe.yaml")
    assert main(["fit", "--config", recipe, "--run_dir", str(tmp_path / "whole")]) == 0
    assert found["trials"][1]["weights_sha256"] == [_sha(tmp_path / "whole")]


def _finished(run: Path) -> bool:
    return bool(RunContents(run).summary["finished"])


def _sha(run: Path) -> str:
    return str(RunContents(run).summary["weights_sha256"])


def _trial_in_training(out: Path, said: Path) -> bool:
    """Tell whether the trial that a worker has begun last is in the middle of its training."""
    began = [line for line in said.read_text().splitlines() if " began" in line]
    number = began[-1].split(":")[0].removeprefix("trial ") if began else "-1"
    return out / "trials" / f"{int(number):04d}" in training(out)


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_three_times_do_what_one_undisturbed_does(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "killed").mkdir()
    out, whole = tmp_path / "killed" / "out", tmp_path / "whole"
    words = ("--trials", str(TRIALS), "--out", str(out))
    steady, kills = start_sweep(tmp_path, "steady", *words), 0
    for number in range(3):
        restless = start_sweep(tmp_path, f"restless-{number}", *words)
        ours = partial(_trial_in_training, out, tmp_path / f"restless-{number}.txt")
        if wait_until(ours, restless):
            kill(restless)
            kills += 1
    last = start_sweep(tmp_path, "last", *words)
    assert steady.wait() == 0, (tmp_path / "steady.txt").read_text()
    assert last.wait() == 0, (tmp_path / "last.txt").read_text()
    assert kills == 3
    alone = start_sweep(tmp_path, "alone", "--trials", str(TRIALS), "--out", str(whole))
    assert alone.wait() == 0, (tmp_path / "alone.txt").read_text()

    found, undisturbed = report(out)["trials"], report(whole)["trials"]
    assert [(entry["number"], entry["state"]) for entry in found] == [(k, "complete") for k in range(TRIALS)]
    assert [entry["values"] for entry in found] == [entry["values"] for entry in undisturbed]
    assert [entry["weights_sha256"] for entry in found] == [entry["weights_sha256"] for entry in undisturbed]
    assert [entry["metric"] for entry in found] == [entry["metric"] for entry in undisturbed]
    trials = open_storage(out, None).get_all_trials(0)
    complete = [trial.user_attrs["number"] for trial in trials if trial.state.name == "COMPLETE"]
    assert sorted(complete) == list(range(TRIALS)), "none was done twice"
    assert sum("abandoned" in trial.user_attrs for trial in trials) == 3
    assert wait_for_no_process_of(tmp_path) == []
