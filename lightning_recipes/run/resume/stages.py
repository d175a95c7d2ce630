"""What becomes of changes to the list of stages, by how far the run has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_recipes.run.resume.rules import ANEW, STEPS, Answer

__all__ = ["Reached", "begun_stage", "stage_answers"]

KEY = "stages"
KEPT_RATE = "the rates of the stage under way stay as the checkpoint has them"


@dataclass(frozen=True)
class Reached:
    """How far a checkpoint has come.

    Attributes:
        epoch: Epochs that are done.
        inside: Whether it was written inside the epoch after them.
        changes: What changed the plan while it ran: kind (``end``, ``restart``, ``stop``) and epoch.
        stage_epochs: What the plan was when the run began, in epochs; tells those of a stage that is given in steps.
    """

    epoch: int
    inside: bool = False
    changes: tuple[tuple[str, int], ...] = ()
    stage_epochs: tuple[int, ...] = ()

    def epochs_of(self, stages: Sequence[Mapping[str, Any]], position: int) -> int:
        """Return how many epochs a stage of a recipe was planned to have."""
        known = position < len(self.stage_epochs)
        return self.stage_epochs[position] if stages[position].get("steps") and known else _epochs(stages[position])


def _epochs(stage: Mapping[str, Any]) -> int:
    return int(stage.get("epochs") or 0)


def _ends(stages: Sequence[Mapping[str, Any]], reached: Reached) -> list[int]:
    """Return the epoch that each stage ends before, as it turned out."""
    ends: list[int] = []
    for position in range(len(stages)):
        start = ends[-1] if ends else 0
        end = start + reached.epochs_of(stages, position)
        cut = [epoch + 1 for kind, epoch in reached.changes if kind in ("end", "stop") and start <= epoch < end]
        ends.append(min([end, *cut]))
    return ends


def begun_stage(stages: Sequence[Mapping[str, Any]], reached: Reached) -> int:
    """Return the position of the last stage that has begun.

    Example:
        >>> [begun_stage([{"epochs": 2}, {"epochs": 3}], Reached(epoch)) for epoch in (2, 3)]
        [0, 1]
    """
    starts = [0, *_ends(stages, reached)][: len(stages)]
    begun = [n for n, start in enumerate(starts) if start < reached.epoch + reached.inside]
    return begun[-1] if begun else 0


def stage_answers(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], reached: Reached) -> list[Answer]:
    """Return an answer for each difference between two lists of stages."""
    at = begun_stage(old, reached)
    if len(new) <= at:
        gone = ", ".join(f"'{stage['name']}'" for stage in old[len(new) : at + 1])
        return [Answer(KEY, "refused", f"{gone} has begun and cannot be taken out; {ANEW}")]
    answers = []
    for position in range(at + 1):
        for name in dict.fromkeys([*old[position], *new[position]]):
            if old[position].get(name) != new[position].get(name):
                key = f"stage '{old[position]['name']}', {name}"
                over = position < at
                answers.append(_over(key, name) if over else _under_way(key, name, old, new, at, reached))
    for position in range(at + 1, max(len(old), len(new))):
        answers += _to_come(old, new, position, stopped=any(kind == "stop" for kind, _ in reached.changes))
    return answers


def _over(key: str, name: str) -> Answer:
    if name in ("name", "epochs", "steps", "batch_size"):
        return Answer(key, "refused", f"that stage is over, and what comes after it is counted from its end; {ANEW}")
    return Answer(key, "kept", "has no effect: that stage is over")


def _under_way(
    key: str,
    name: str,
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    at: int,
    reached: Reached,
) -> Answer:
    ends = _ends(old, reached)
    start = ends[at - 1] if at else 0
    if name == "batch_size":
        return Answer(key, "refused", STEPS[1])
    if name == "steps":
        return Answer(key, "refused", f"the steps of a stage became whole epochs as the run began; {ANEW}")
    if name in ("lr", "lr_decay"):
        return Answer(key, "kept", f"has no effect: {KEPT_RATE}")
    if name != "epochs":
        return Answer(key, "now", "takes effect at once")
    if ends[at] < start + reached.epochs_of(old, at):
        return Answer(key, "kept", f"has no effect: the stage was ended after epoch {ends[at]}, and stays so")
    done = reached.epoch + reached.inside - start
    if _epochs(new[at]) < done:
        return Answer(key, "refused", f"{done} epochs of it have begun; give at least {done}, or {ANEW}")
    return Answer(key, "now", f"takes effect at once: {_epochs(new[at])} in place of {_epochs(old[at])}")


def _to_come(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], position: int, *, stopped: bool
) -> list[Answer]:
    before, after = (stages[position] if position < len(stages) else None for stages in (old, new))
    if before == after:
        return []
    if before is None or after is None:
        what, name = ("added", after) if before is None else ("taken out", before)
        key, text = f"stage '{(name or {})['name']}'", f"is {what}"
    else:
        changed = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
        key, text = f"stage '{after['name']}', {', '.join(changed)}", "takes effect when the stage begins"
    if stopped:
        return [Answer(key, "kept", "has no effect: the run was ended before that stage, and stays so")]
    return [Answer(key, "next", text)]
