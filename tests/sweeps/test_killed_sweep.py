"""A sweep whose workers are killed ends as if they had not been, and leaves nothing behind."""

from functools import partial
from pathlib import Path

import pytest

from lightning_recipes.sweeps.study import open_storage
from tests.sweeps.sweeping import (
    kill,
    report,
    start_sweep,
    training,
    wait_for_no_process_of,
    wait_until,
    write_files,
)

TRIALS = 8
"""Twenty-four come to the same, in eleven minutes more."""


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

    # Workers that end at the same moment write the same figures. Without a lock one of four failed in each try.
    late = [start_sweep(tmp_path, f"late-{number}", *words) for number in range(4)]
    for number, worker in enumerate(late):
        assert worker.wait() == 0, (tmp_path / f"late-{number}.txt").read_text()
