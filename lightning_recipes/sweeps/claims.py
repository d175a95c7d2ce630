"""Who does which trial: by the storage's own order of Optuna's trials, and no other lock.

A trial of a sweep has a number of its own, and each try at it, an *attempt*, is one of Optuna's trials, created whole
in one call. Several workers may create the same attempt at the same moment; the one with the lowest number of Optuna's
has it. Any storage numbers what is created one after the other, and whoever has a number sees all lower ones.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lightning_recipes.compat.optuna import id_of
from lightning_recipes.sweeps.space import Space
from lightning_recipes.sweeps.study import Study, distribution_of, param_of
from lightning_recipes.sweeps.values import Values
from lightning_recipes.sweeps.workers import Watch

__all__ = ["ABANDONED", "LOST", "Attempt", "abandon", "latest_attempts", "look_for_work", "set_state", "still_ours"]

ABANDONED, LOST = "abandoned", "lost"


@dataclass(frozen=True)
class Attempt:
    """A try at a trial of a sweep.

    Attributes:
        number: Of the trial, from 0.
        attempt: Tries before it.
        values: By key.
        trial: Optuna's, as it was when it was read.
    """

    number: int
    attempt: int
    values: Values
    trial: Any

    @property
    def id(self) -> int:
        """Where the storage has it."""
        return id_of(self.trial)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What its worker wrote."""
        found: Mapping[str, Any] = self.trial.user_attrs
        return found

    @property
    def state(self) -> str:
        """``running``, ``abandoned``, ``complete``, ``pruned`` or ``failed``."""
        name = str(self.trial.state.name)
        if name == "FAIL":
            return ABANDONED if ABANDONED in self.attributes else "failed"
        return {"COMPLETE": "complete", "PRUNED": "pruned"}.get(name, "running")

    @property
    def done(self) -> bool:
        """Whether nobody has to do anything of the trial any more."""
        return self.state in ("complete", "pruned", "failed")


def latest_attempts(trials: Iterable[Any]) -> dict[int, Attempt]:
    """Return the last attempt at each trial that was begun, by its number.

    Args:
        trials: Optuna's, by Optuna's number.
    """
    latest: dict[int, Attempt] = {}
    for trial in trials:
        attributes = trial.user_attrs
        if "number" not in attributes:
            continue  # somebody's own, in the same study
        found = Attempt(attributes["number"], attributes["attempt"], attributes["values"], trial)
        before = latest.get(found.number)
        if before is None or found.attempt > before.attempt:  # of an attempt that is there twice the first has it
            latest[found.number] = found
    return dict(sorted(latest.items()))


def look_for_work(
    study: Study,
    space: Space,
    trials: int,
    *,
    worker: Mapping[str, Any],
    watch: Watch,
    draw: Callable[[int], Values],
    new: bool = True,
) -> Attempt | None:
    """Claim the trial that comes next: one that a dead worker has left, else the first that nobody began.

    Args:
        study: Shared by all workers.
        space: What is searched.
        trials: Of the sweep.
        worker: Who claims, as :func:`lightning_recipes.sweeps.workers.this_process` says it.
        watch: Knows the dead.
        draw: Values of a new trial by its number.
        new: Whether a trial may begin that nobody began.

    Returns:
        The attempt, which nobody else has; None where nothing is left to begin now.
    """
    while True:
        latest = latest_attempts(study.trials())
        left = next((one for one in latest.values() if one.number < trials and _is_left(study, one, watch)), None)
        if left is not None:
            claimed = _claim(study, space, left.number, left.attempt + 1, left.values, worker, left.trial)
        else:
            number = next((k for k in range(trials if new else 0) if k not in latest), None)
            if number is None:
                return None
            claimed = _claim(study, space, number, 0, draw(number), worker)
        if claimed is not None:
            return claimed


def _is_left(study: Study, one: Attempt, watch: Watch) -> bool:
    """Tell whether an attempt was given up; one of a dead worker is marked so."""
    if one.state == ABANDONED:
        return True
    if one.state != "running":
        return False
    if not watch.is_dead(one.trial.number, one.attributes["worker"], one.attributes.get("beat")):
        return False
    abandon(study, one)
    return True


def abandon(study: Study, one: Attempt) -> None:
    """Give an attempt up, so that anybody goes on with the trial; nothing where it is over already."""
    from optuna.exceptions import UpdateFinishedTrialError

    try:
        study.storage.set_trial_user_attr(one.id, ABANDONED, True)  # before its state: what is over takes none
        set_state(study, one, "FAIL")
    except UpdateFinishedTrialError:
        pass


def _claim(
    study: Study,
    space: Space,
    number: int,
    attempt: int,
    values: Values,
    worker: Mapping[str, Any],
    before: Any = None,
) -> Attempt | None:
    """Create an attempt, and return it if it is ours."""
    from optuna.trial import FrozenTrial, TrialState

    searched = [one for one in space.keys if one.key in values]
    attributes = {"number": number, "attempt": attempt, "values": values, "worker": dict(worker), "beat": 0}
    template = FrozenTrial(
        number=-1,  # the storage gives it one
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={one.key: param_of(one.kind, values[one.key]) for one in searched},
        distributions={one.key: distribution_of(one.kind) for one in searched},
        user_attrs=attributes,
        system_attrs=dict(before.system_attrs) if before else {},
        intermediate_values=dict(before.intermediate_values) if before else {},
    )
    created = study.storage.create_new_trial(study.id, template)
    latest = latest_attempts(study.trials())[number]
    if latest.id == created:
        return latest
    lost = Attempt(number, attempt, values, study.storage.get_trial(created))
    study.storage.set_trial_user_attr(created, LOST, True)
    set_state(study, lost, "FAIL")
    return None


def set_state(study: Study, one: Attempt, state: str, value: float | None = None) -> None:
    """Write how an attempt ended.

    Args:
        study: Its study.
        one: The attempt.
        state: ``COMPLETE``, ``PRUNED`` or ``FAIL``.
        value: Its metric.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: It had ended before.
    """
    from optuna.trial import TrialState

    study.storage.set_trial_state_values(one.id, TrialState[state], None if value is None else [value])


def still_ours(study: Study, one: Attempt) -> bool:
    """Tell whether nobody has taken an attempt for given up, as of a machine that was asleep."""
    return not study.storage.get_trial(one.id).state.is_finished()
