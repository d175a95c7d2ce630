"""Claims of real processes on one journal: each trial once, and those of the dead taken over once."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.claims import Attempt, abandon, latest_attempts, look_for_work, set_state
from lightning_recipes.sweeps.study import Study, open_storage, open_study
from lightning_recipes.sweeps.values import values_of
from lightning_recipes.sweeps.workers import Watch, this_process
from tests.sweeps.claimers import claimers, join, space

DEAD_ELSEWHERE = {"host": "elsewhere", "boot": "other", "namespace": "", "pid": 1, "started": "1"}


def claim(study: Study, trials: int, watch: Watch | None = None, worker: Any = None) -> Attempt | None:
    return look_for_work(
        study, space(), trials, worker=worker or this_process(), watch=watch or Watch(),
        draw=lambda number: values_of(space(), number, seed=0, sampler="random"),
    )  # fmt: skip


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def worker_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    return {**this_process(), "pid": process.pid, "started": started(process.pid)}


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize("processes", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_forty_trials_are_each_done_once_by_whoever_claims_them(tmp_path: Path, processes: int) -> None:
    join(tmp_path)
    claimed = claimers(tmp_path, processes, 40, complete=True)
    assert sorted(number for number, _, _ in claimed) == list(range(40))
    assert all(attempt == 0 for _, attempt, _ in claimed)
    assert all(values == values_of(space(), number, seed=0, sampler="random") for number, _, values in claimed)
    latest = latest_attempts(join(tmp_path).trials())
    assert [one.state for one in latest.values()] == ["complete"] * 40
    states = Counter(trial.state for trial in join(tmp_path).trials())
    assert states[TrialState.COMPLETE] == 40
    assert states[TrialState.RUNNING] == 0, "who came second has said so"


def test_a_dead_workers_trials_are_taken_over_once_with_what_is_known_of_them(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    study = join(tmp_path)
    left = [claim(study, 3, worker=worker_of(other)) for _ in range(3)]
    assert left[0] is not None
    assert claim(study, 3) is None
    other.kill()  # and not waited for: a zombie is as dead
    study.storage.set_trial_intermediate_value(left[0].id, 1, 0.25)
    study.storage.set_trial_system_attr(left[0].id, "completed_rung_0", 0.25)
    claimed = claimers(tmp_path, 2, 3, complete=False)
    assert sorted((number, attempt) for number, attempt, _ in claimed) == [(0, 1), (1, 1), (2, 1)]
    first = latest_attempts(study.trials())[0]
    assert first.values == left[0].values
    assert first.trial.params == left[0].trial.params
    assert first.trial.intermediate_values == {1: 0.25}
    assert first.trial.system_attrs == {"completed_rung_0": 0.25}
    assert Attempt(0, 0, {}, study.storage.get_trial(left[0].id)).state == "abandoned"


def test_a_trial_that_was_given_up_comes_before_a_new_one_and_a_living_workers_is_left_alone(tmp_path: Path) -> None:
    study = join(tmp_path)
    first, second = claim(study, 5), claim(study, 5)
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    abandon(study, second)
    again, new = claim(study, 5), claim(study, 5)
    assert again is not None
    assert new is not None
    assert (again.number, again.attempt) == (1, 1)
    assert (new.number, new.attempt) == (2, 0)
    abandon(study, second)  # once more: it is over
    assert latest_attempts(study.trials())[1].state == "running"


def test_a_failed_trial_is_not_tried_again(tmp_path: Path) -> None:
    study = join(tmp_path)
    one = claim(study, 1)
    assert one is not None
    set_state(study, one, "FAIL")
    assert claim(study, 1) is None
    raised = claim(study, 2)
    assert raised is not None
    assert raised.number == 1


def test_a_worker_elsewhere_is_dead_when_its_heart_has_not_beaten_for_long(tmp_path: Path) -> None:
    study, watch = join(tmp_path), Watch(dead_after=0.5)
    one = claim(study, 1, worker=DEAD_ELSEWHERE)
    assert one is not None
    for beat in range(1, 4):
        assert claim(study, 1, watch) is None
        time.sleep(0.3)
        study.storage.set_trial_user_attr(one.id, "beat", beat)
    assert claim(study, 1, watch) is None
    time.sleep(0.6)
    again = claim(study, 1, watch)
    assert again is not None
    assert again.attempt == 1


def test_of_two_who_create_the_same_attempt_the_first_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, other = join(tmp_path), join(tmp_path)
    study.storage.create_new_trial(study.id)  # somebody's own
    seen = study.trials()  # as before the other came
    assert claim(other, 2) is not None
    answers = iter([seen])
    monkeypatch.setattr(Study, "trials", lambda self: next(answers, None) or self.storage.get_all_trials(self.id))
    mine = claim(study, 2)
    assert mine is not None
    assert mine.number == 1
    lost = [trial for trial in study.trials() if "lost" in trial.user_attrs]
    assert [(trial.user_attrs["number"], trial.state) for trial in lost] == [(0, TrialState.FAIL)]


def test_a_process_with_a_dead_ones_number_is_not_taken_for_it(tmp_path: Path) -> None:
    study = join(tmp_path)
    assert claim(study, 1, worker={**this_process(), "started": "1"}) is not None
    again = claim(study, 1)
    assert again is not None
    assert again.attempt == 1


KILLED_IN_THE_LOCK = """
import os, signal, sys
from pathlib import Path
from lightning_recipes.sweeps.file_lock import JournalLock
JournalLock(Path(sys.argv[1])).acquire()
with open(sys.argv[1], "ab") as file:
    file.write(b'{"op_code":5,"worker_id":"half a line')
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_while_writing_holds_up_nobody_and_harms_nothing(tmp_path: Path) -> None:
    study = join(tmp_path)
    assert claim(study, 4) is not None
    words = [sys.executable, "-c", KILLED_IN_THE_LOCK, str(tmp_path / "study.journal")]
    assert (
        subprocess.run(words, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).returncode == -signal.SIGKILL
    )
    since = time.monotonic()
    assert claim(study, 4) is not None
    assert claim(join(tmp_path), 4) is not None
    assert time.monotonic() - since < 5.0, "Optuna's own lock is waited for thirty seconds"
    assert len(join(tmp_path).trials()) == 3


def test_a_study_of_other_settings_is_refused_in_a_line_that_names_the_key(tmp_path: Path) -> None:
    settings = {
        "sampler": "random",
        "search": {"model.lr": {"log": [1, 2]}},
        "recipe": {"model": {"init_args": {"a": 1}}},
    }

    def begin(**changes: Any) -> None:
        storage = open_storage(tmp_path, None)
        open_study(storage, "sweep", mode="max", settings={**settings, **changes}, where="mine")

    begin()
    begin()
    for changes, said in (
        ({"sampler": "tpe"}, 'sampler: the sweep in mine is another (it began with "random"; now it is "tpe")'),
        ({"recipe": {"model": {"init_args": {"a": 2}}}}, "model.a: the sweep in mine is another (it began with 1; now"),
        (
            {"search": {"model.lr": {"log": [1, 3]}}},
            "search.model.lr.log: the sweep in mine is another (it began with [1",
        ),
    ):
        with pytest.raises(UserError) as error:
            begin(**changes)
        assert str(error.value).startswith(said)
        assert str(error.value).endswith("give it as it was, or another --out")


def test_what_else_is_in_the_study_is_left_alone(tmp_path: Path) -> None:
    study = join(tmp_path)
    own = optuna.trial.create_trial(state=TrialState.RUNNING)
    own.datetime_start = datetime.now()
    study.storage.create_new_trial(study.id, own)
    one = claim(study, 1)
    assert one is not None
    assert (one.number, one.trial.number) == (0, 1)
    assert claim(study, 1) is None
