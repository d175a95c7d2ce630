"""A trial at work: its runs, one after the other, each a ``fit`` of its own that can be stopped and gone on with."""

import fcntl
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.run.folder import holds_run
from lightning_recipes.sweeps.claims import Attempt, abandon, set_state
from lightning_recipes.sweeps.plan import RunPlan, SweepPlan, run_folder, trial_folder
from lightning_recipes.sweeps.process import Process, python
from lightning_recipes.sweeps.recipe_keys import with_values
from lightning_recipes.sweeps.run_result import RunResult, epochs_of, is_finished, result_of, why_it_failed
from lightning_recipes.sweeps.study import Study

__all__ = ["Ended", "Trial", "recipe_text"]

STOPPED_BY_SIGNAL = (130, 143)
"""Exit codes of a run that somebody asked to stop."""
LOOK = 0.5
"""Seconds between two looks at what a run has logged, at least."""
SIGNALS_ARRIVE = 2.0
"""Seconds within which a signal to all processes of a job has come to each."""


@dataclass(frozen=True)
class Ended:
    """How a trial ended.

    Attributes:
        state: ``COMPLETE``, ``PRUNED``, ``FAIL`` or ``abandoned``.
        metric: Mean of its runs; of a pruned one the best so far.
        reason: Why it failed.
    """

    state: str
    metric: float | None = None
    reason: str = ""


def recipe_text(plan: SweepPlan, values: Mapping[str, Any]) -> str:
    """Return a trial's recipe, in the order of the sweep's own."""
    return yaml.safe_dump(with_values(plan.recipe, values), sort_keys=False, allow_unicode=True, width=120)


class Trial:
    """An attempt at work. Call :meth:`advance` again and again, until it says how it ended.

    Args:
        study: Shared by all workers.
        plan: Of the sweep.
        attempt: Which is this process's.
        environment: Of its runs.

    Attributes:
        attempt: See above.
    """

    def __init__(self, study: Study, plan: SweepPlan, attempt: Attempt, environment: Mapping[str, str]) -> None:
        self.study, self.plan, self.attempt, self._environment = study, plan, attempt, dict(environment)
        self._folder = trial_folder(plan.out, attempt.number)
        self._left = list(plan.runs)
        self._results: list[RunResult] = []
        self._process: Process | None = None
        self._reported = set(attempt.trial.intermediate_values)
        self._next_look = 0.0
        self._stopping = False
        self._ended: Ended | None = None
        self._heard = 0.0
        text = recipe_text(plan, attempt.values)
        self._other = self._holds_another(text)
        if self._other:
            return
        with whole_file(self._folder / "recipe.yaml") as part:
            part.write_text(text, encoding="utf-8")

    def _holds_another(self, text: str) -> bool:
        """Tell whether runs of other values lie in the folder, such as of a database that was emptied."""
        path = self._folder / "recipe.yaml"
        runs = (run_folder(self.plan.out, self.attempt.number, run) for run in self.plan.runs)
        return path.exists() and path.read_text(encoding="utf-8") != text and any(holds_run(run) for run in runs)

    def stop(self) -> None:
        """Have the run save itself and end; the trial is then given up, for anybody to go on with."""
        self._stopping = True
        if self._process is not None:
            self._process.stop()

    def drop(self) -> None:
        """Stop without a word to the storage, which has given the trial to somebody else."""
        self._ended = self._ended or Ended("abandoned")  # what is pruned is over, too, while its run saves itself
        self.stop()

    def advance(self) -> Ended | None:
        """Do what can be done now without waiting; return how the trial ended, once it has."""
        if self._process is None:
            return self._begin_run()
        code = self._process.poll()
        if self._stopped_by_others(code):
            return None
        first = len(self._left) == len(self.plan.runs)
        if first and not self._stopping:
            self._report_epochs(decide=code is None)
        if code is None:
            return None
        self._process.wait()
        self._process = None
        if self._ended is not None:
            return self._ended
        run, self._left = self._left[0], self._left[1:]
        return self._end_run(run, code)

    def _stopped_by_others(self, code: int | None) -> bool:
        """Wait a little where a signal ended the run: whoever ends a machine's processes ends this one next."""
        if code not in STOPPED_BY_SIGNAL or self._stopping:
            return False
        self._heard = self._heard or time.monotonic()
        return time.monotonic() - self._heard < SIGNALS_ARRIVE

    def _begin_run(self) -> Ended | None:
        if self._ended is not None:
            return self._ended
        if self._stopping:
            return self._give_up()
        if self._other:
            return self._fail(f"{self._folder} holds runs of another recipe; move it away, and begin the sweep anew")
        run = self._left[0]
        folder = run_folder(self.plan.out, self.attempt.number, run)
        if _in_use(folder):  # the run of a worker that was killed is still saving itself
            return None
        if is_finished(folder):  # by a worker that was killed before it could say so
            if len(self._left) == len(self.plan.runs):
                self._report_epochs(decide=False)
            self._left = self._left[1:]
            return self._take_result(folder)
        words = ["--config", str(self._folder / "recipe.yaml"), "--run_dir", str(folder), *run.words]
        words += ["--ckpt_path", "last"] if holds_run(folder) else []
        self._process = Process(python("fit", *words), self._log, self._environment)
        return None

    @property
    def _log(self) -> Path:
        return self._folder / "log.txt"

    def _end_run(self, run: RunPlan, code: int) -> Ended | None:
        folder = run_folder(self.plan.out, self.attempt.number, run)
        if self._stopping and not is_finished(folder):
            return self._give_up()
        if code:
            return self._fail(why_it_failed(folder, self._log, code))
        return self._take_result(folder)

    def _take_result(self, folder: Path) -> Ended | None:
        found = result_of(folder, self.plan.metric)
        if isinstance(found, str):
            return self._fail(found)
        self._results.append(found)
        return None if self._left else self._complete()

    # What the storage is told.

    def _report_epochs(self, *, decide: bool) -> None:
        """Tell the metric of each epoch that is new, and ask whether it is enough to go on.

        The file of a long run takes a while to read, and has a new line at every few steps: a twentieth of the time at
        most goes into it.
        """
        since = time.monotonic()
        if decide and since < self._next_look:
            return
        folder = run_folder(self.plan.out, self.attempt.number, self.plan.runs[0])
        epochs = epochs_of(folder, self.plan.metric)
        now = time.monotonic()
        self._next_look = now + max(LOOK, 20 * (now - since))
        for epoch, value in sorted(epochs.items()):
            step = epoch + 1
            if step in self._reported:
                continue
            self.study.storage.set_trial_intermediate_value(self.attempt.id, step, value)
            self._reported.add(step)
            if decide and self.plan.prune and self._is_pruned():
                self._prune()
                return

    def _is_pruned(self) -> bool:
        from optuna.pruners import SuccessiveHalvingPruner

        pruner = SuccessiveHalvingPruner(min_resource=self.plan.min_epochs, reduction_factor=self.plan.reduction)
        return bool(pruner.prune(self.study.for_optuna(), self.study.storage.get_trial(self.attempt.id)))

    def _prune(self) -> None:
        """Say that it is pruned before the run is stopped: who is killed in between has decided."""
        told = self.study.storage.get_trial(self.attempt.id).intermediate_values.values()
        values = [value for value in told if math.isfinite(value)]  # none of a run that diverged at once
        best = (max if self.plan.mode == "max" else min)(values, default=None)
        set_state(self.study, self.attempt, "PRUNED", best)
        self._ended = Ended("PRUNED", best)
        self.stop()

    def _complete(self) -> Ended:
        metrics = [result.metric for result in self._results]
        mean = math.fsum(metrics) / len(metrics)
        self._set("runs", [asdict(result) for result in self._results])
        set_state(self.study, self.attempt, "COMPLETE", mean)
        return Ended("COMPLETE", mean)

    def _fail(self, reason: str) -> Ended:
        reason = " ".join(reason.split())[:500]
        self._set("reason", reason)
        self._set("runs", [asdict(result) for result in self._results])
        set_state(self.study, self.attempt, "FAIL")
        return Ended("FAIL", reason=reason)

    def _give_up(self) -> Ended:
        abandon(self.study, self.attempt)
        return Ended("abandoned")

    def _set(self, key: str, value: Any) -> None:
        self.study.storage.set_trial_user_attr(self.attempt.id, key, value)


def _in_use(folder: Path) -> bool:
    """Tell whether a process has a run's folder; it locks it, see :class:`lightning_recipes.run.folder.RunFolder`."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a drive without locks
        return False
    finally:
        os.close(number)
    return False
