"""Processes that claim trials side by side, for the tests of what they get: ``python -m tests.sweeps.claimers ...``."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lightning_recipes.sweeps.claims import look_for_work, set_state
from lightning_recipes.sweeps.space import Space, parse_space
from lightning_recipes.sweeps.study import Study, open_storage, open_study
from lightning_recipes.sweeps.values import values_of
from lightning_recipes.sweeps.workers import Watch, this_process

ROOT = Path(__file__).parents[2]
SEARCH: dict[str, Any] = {
    "lr": {"log": [1e-4, 1e-1]},
    "optimizer": {"choice": ["sgd", "adamw"]},
    "momentum": {"uniform": [0, 1], "when": {"optimizer": "sgd"}},
}


def space() -> Space:
    return parse_space(SEARCH)


def join(folder: Path) -> Study:
    return open_study(open_storage(folder, None), "sweep", mode="max", settings={"sampler": "random"}, where="here")


def claim_all(folder: Path, trials: int, go: Path, claimed: Path, *, complete: bool) -> None:
    """Wait for the file that says go, claim until nothing is left, and write down what was ours, line by line."""
    study, me, watch = join(folder), this_process(), Watch()
    Path(f"{claimed}.ready").touch()
    while not go.exists():
        time.sleep(0.001)
    with claimed.open("w") as file:
        while True:
            one = look_for_work(
                study, space(), trials, worker=me, watch=watch,
                draw=lambda number: values_of(space(), number, seed=0, sampler="random"),
            )  # fmt: skip
            if one is None:
                break
            print(json.dumps([one.number, one.attempt, one.values]), file=file, flush=True)
            if complete:
                set_state(study, one, "COMPLETE", float(one.number))
    Path(f"{claimed}.ready").unlink()
    while go.exists():  # who ends is dead, and leaves what it has to the others
        time.sleep(0.01)


def claimers(folder: Path, count: int, trials: int, *, complete: bool) -> list[list[Any]]:
    """Start processes that claim at the same moment, and return what all of them got."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    go, files = folder / "go", [folder / f"claimed-{i}" for i in range(count)]
    words = [sys.executable, "-m", "tests.sweeps.claimers", str(folder), str(trials), str(go)]
    processes = [subprocess.Popen([*words, str(file), str(complete)], env=env, cwd=ROOT) for file in files]
    while not all(Path(f"{file}.ready").exists() for file in files):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    go.touch()
    while any(Path(f"{file}.ready").exists() for file in files):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    go.unlink()
    assert [process.wait() for process in processes] == [0] * count
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


if __name__ == "__main__":
    given = sys.argv[1:]
    claim_all(Path(given[0]), int(given[1]), Path(given[2]), Path(given[3]), complete=given[4] == "True")
