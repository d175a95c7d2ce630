"""A worker's loop: look for a trial, run it, say how it ended, until nothing is left."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lightning_recipes.sweeps.claims import Attempt, latest_attempts, look_for_work, still_ours
from lightning_recipes.sweeps.plan import SweepPlan
from lightning_recipes.sweeps.report import best_of, shown_metric, write_report
from lightning_recipes.sweeps.shown import shown_values
from lightning_recipes.sweeps.study import Study
from lightning_recipes.sweeps.tpe import tpe_values
from lightning_recipes.sweeps.trial import Ended, Trial
from lightning_recipes.sweeps.values import Values, values_of
from lightning_recipes.sweeps.workers import BEAT_SECONDS, Watch, this_process

__all__ = ["HOPELESS", "Listener", "Outcome", "Work"]

TICK = 0.1
"""Seconds between two looks at what runs."""
LOOK = 1.0
"""Seconds between two looks into the storage for work, while there is none."""
HOPELESS = 3
"""Trials that fail for one and the same reason before any is complete, to take it that all will."""


class Listener(Protocol):
    """Is told what happens."""

    def say(self, line: str) -> None:
        """Take a line on an event."""

    def show(self, latest: Mapping[int, Attempt]) -> None:
        """Take the trials as they are now."""


class Outcome:
    """How the loop ended.

    Attributes:
        all_done: Every trial of the sweep has ended.
        hopeless: The reason for which all trials fail; empty: they do not.
        signal: What asked to stop; 0: nothing.
    """

    def __init__(self, *, all_done: bool = False, hopeless: str = "", signal: int = 0) -> None:
        self.all_done, self.hopeless, self.signal = all_done, hopeless, signal


class Work:
    """The trials that one process runs side by side.

    Args:
        study: Shared with other processes.
        plan: Of the sweep.
        environments: Of the runs of each worker, one for each.
        listener: Is told what happens.
        signal: Says which signal has asked to stop; 0: none.
    """

    def __init__(
        self,
        study: Study,
        plan: SweepPlan,
        environments: Sequence[Mapping[str, str]],
        listener: Listener,
        signal: Callable[[], int],
    ) -> None:
        self.study, self.plan, self.listener, self.signal = study, plan, listener, signal
        self.free, self.at_work = list(environments), list[tuple[Trial, Mapping[str, str], float]]()
        self.watch, self.me, self.began = Watch(), this_process(), time.monotonic()
        self.failed_before = {n for n, one in latest_attempts(study.trials()).items() if one.state == "failed"}
        self._beats, self._next_beat, self._next_look, self._hopeless = 0, 0.0, 0.0, ""

    def run(self) -> Outcome:
        """Work until every trial has ended, time is over, all fail, or a signal asks to stop."""
        while True:
            for trial, environment, since in list(self.at_work):
                if self._stopping:
                    trial.stop()
                if (ended := self._advance(trial)) is not None:
                    self.at_work.remove((trial, environment, since))
                    self.free.append(environment)
                    self._tell_end(trial.attempt, ended, time.monotonic() - since)
                    self._next_look = 0.0
            self._beat()
            if self._stopping and not self.at_work:
                return Outcome(hopeless=self._hopeless, signal=self.signal())
            if not self._stopping and (outcome := self._look()) is not None:
                return outcome
            time.sleep(TICK)

    @property
    def _stopping(self) -> bool:
        return bool(self.signal() or self._hopeless)

    def _advance(self, trial: Trial) -> Ended | None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            ended = trial.advance()
        except UpdateFinishedTrialError:  # others took this worker for dead
            trial.drop()
            return None
        return ended

    def _beat(self) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        if time.monotonic() < self._next_beat:
            return
        self._beats, self._next_beat = self._beats + 1, time.monotonic() + BEAT_SECONDS
        for trial, _, _ in self.at_work:
            try:
                self.study.storage.set_trial_user_attr(trial.attempt.id, "beat", self._beats)
            except UpdateFinishedTrialError:
                if not still_ours(self.study, trial.attempt):
                    trial.drop()

    def _look(self) -> Outcome | None:
        """Begin trials while a worker is free, and tell when there is nothing left to wait for."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + LOOK
        over = self.plan.minutes is not None and time.monotonic() - self.began >= 60 * self.plan.minutes
        while self.free and not over and (attempt := self._claim()) is not None:
            environment = self.free.pop(0)
            self.at_work.append((Trial(self.study, self.plan, attempt, environment), environment, time.monotonic()))
            again = f" (again, after {attempt.attempt} given up)" if attempt.attempt else ""
            self.listener.say(f"trial {attempt.number}: {shown_values(attempt.values)} began{again}")
        latest = latest_attempts(self.study.trials())
        self.listener.show(latest)
        if self.at_work:
            return None
        done = sum(one.done for number, one in latest.items() if number < self.plan.trials)
        if done >= self.plan.trials:
            return Outcome(all_done=True)
        return Outcome() if over else None  # others are at the rest: one of them may die

    def _claim(self) -> Attempt | None:
        return look_for_work(
            self.study, self.plan.space, self.plan.trials, worker=self.me, watch=self.watch, draw=self._draw
        )

    def _draw(self, number: int) -> Values:
        plan = self.plan
        if plan.sampler == "tpe":
            return tpe_values(self.study, plan.space, number, seed=plan.seed)
        return values_of(plan.space, number, seed=plan.seed, sampler=plan.sampler)

    def _tell_end(self, attempt: Attempt, ended: Ended, seconds: float) -> None:
        entries = write_report(self.study, self.plan)["trials"]
        name, said = self.plan.metric, shown_metric(self.plan.metric, ended.metric)
        if ended.state == "COMPLETE":
            best = best_of(entries, self.plan.mode)
            so_far = " (best so far)" if best is not None and best["number"] == attempt.number else ""
            line = f"{name} {said}{so_far} in {seconds:.0f} s"
        elif ended.state == "PRUNED":
            line = f"pruned after {seconds:.0f} s, at {name} {said}"
        elif ended.state == "FAIL":
            line = f"failed after {seconds:.0f} s: {ended.reason}"
            self._hopeless = self._hopeless or self._common_reason(entries)
        else:
            line = "stopped; whoever comes next goes on with it"
        self.listener.say(f"trial {attempt.number}: {line}")

    def _common_reason(self, entries: Sequence[Mapping[str, Any]]) -> str:
        """Return the reason why the first trials failed, where it is one and none is complete; else an empty text."""
        if any(entry["state"] in ("complete", "pruned") for entry in entries):
            return ""
        new = [entry for entry in entries if entry["state"] == "failed" and entry["number"] not in self.failed_before]
        reasons = {str(entry["reason"]).replace(f"{entry['number']:04d}", "") for entry in new}
        return str(new[0]["reason"]) if len(new) >= HOPELESS and len(reasons) == 1 else ""
