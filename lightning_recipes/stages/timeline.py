"""A plan counted in optimizer steps: which rate, which momentum and which cycle each step has."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_recipes.schedules.progress import Progress
from lightning_recipes.schedules.resolve import Schedule
from lightning_recipes.stages.plan import Plan

__all__ = ["Timeline"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """A plan counted in optimizer steps.

    Attributes:
        plan: The stages.
        steps_per_epoch: For each stage, the optimizer steps of one of its epochs, >= 1.
        schedules: For each stage, its schedule.
        max_steps: Where the run ends, if that is before the plan does.
    """

    plan: Plan
    steps_per_epoch: Sequence[int]
    schedules: Sequence[Schedule]
    max_steps: int | None = None

    def at(self, step: int) -> tuple[int, Progress]:
        """Return the position of the stage that an optimizer step belongs to, and how far its schedule is before it.

        Steps after the plan belong to its last stage. A schedule that begins anew counts from there to the stage's end.
        """
        position = 0
        while position < len(self.plan.stages) - 1 and step >= self._end(position):
            position += 1
        begin = max(b for b in self._beginnings(position) if b <= max(step, self._start(position)))
        return position, Progress(step - begin, self._end(position) - begin, self.steps_per_epoch[position])

    def factor(self, step: int) -> float:
        """Return the factor on every group's base rate at an optimizer step."""
        position, progress = self.at(step)
        return self.schedules[position](progress)

    def momentum(self, step: int) -> float | None:
        """Return the momentum at an optimizer step, or None where the optimizer's own stays."""
        position, progress = self.at(step)
        return self.schedules[position].momentum(progress)

    def halves_after(self, step: int) -> bool:
        """Tell whether the factor falls to less than half of what it is at a step, at a later epoch's end of the stage.

        Args:
            step: The last one of an epoch.
        """
        _, progress = self.at(step)
        ahead = range(step, step + progress.steps - progress.step, progress.steps_per_epoch)
        return min((self.factor(later) for later in ahead), default=1.0) < self.factor(step) / 2

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole plan."""
        return self._end(len(self.plan.stages) - 1)

    def epoch_of(self, step: int) -> float:
        """Return the epochs that are done before an optimizer step, with the fraction of the one under way."""
        position, _ = self.at(step)
        return self.plan.start_of(position) + (step - self._start(position)) / self.steps_per_epoch[position]

    def cycle_ends(self, position: int) -> list[float]:
        """Return the epochs, counted from the start of the run, that are done when each cycle of a stage ends.

        A schedule without cycles is one cycle. A restart ends the cycle before it.
        """
        begins = self._beginnings(position)
        ends = []
        for begin, end in zip(begins, [*begins[1:], self._end(position)], strict=True):
            cycles = self.schedules[position].cycle_ends(self._end(position) - begin, self.steps_per_epoch[position])
            ends += [begin + done for done in cycles if begin + done < end]
            if end - begin in cycles or end != self._end(position):
                ends.append(end)
        start, per_epoch = self._start(position), self.steps_per_epoch[position]
        return [self.plan.start_of(position) + (end - start) / per_epoch for end in ends]

    def _start(self, position: int) -> int:
        """First optimizer step of a stage."""
        before = zip(self.plan.stages[:position], self.steps_per_epoch, strict=False)
        return sum(stage.epochs * steps for stage, steps in before)

    def _end(self, position: int) -> int:
        end = self._start(position) + self.plan.stages[position].epochs * self.steps_per_epoch[position]
        return end if self.max_steps is None else min(end, self.max_steps)

    def _beginnings(self, position: int) -> list[int]:
        """The steps of a stage at which its schedule begins: its start, and each restart within it."""
        first, epochs = self.plan.start_of(position), self.plan.stages[position].epochs
        restarts = {epoch for epoch in self.plan.restarts if first < epoch < first + epochs}
        start, per_epoch = self._start(position), self.steps_per_epoch[position]
        return [start, *(start + (epoch - first) * per_epoch for epoch in sorted(restarts))]
