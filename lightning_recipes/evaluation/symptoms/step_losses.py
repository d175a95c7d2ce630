"""The losses of a stage's steps, as means of ten, and what is wrong with them."""

import statistics
from collections.abc import Mapping
from typing import Any

from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["BLOCK", "StepLosses", "crawls", "shot_up"]

BLOCK = 10
"""Steps whose mean is looked at: of one alone nothing can be said."""
MOST_MEANS = 60
"""Means at which two neighbours become one."""
LOST = 0.5
"""Share of the run's first loss, or of what it has fallen by, by which a loss has to rise to have shot up."""
LEFT, HARDLY = 0.9, 0.02
"""Share of the run's first loss above which next to nothing has been learnt, and by which it hardly falls."""
ENOUGH = 100
"""Steps after which a training ought to have learnt something."""


class StepLosses:
    """The training losses of a run's steps, of which only means are kept.

    Attributes:
        first: The run's first loss.
        lowest: Lowest mean of ten steps of the stage; of the run's first stage, the first loss counts too.
        latest: The last ten losses, lowest first; empty before there are ten.
        means: Of the stage, fewer than sixty, each of as many steps.
        steps: Of the stage.
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self.begin_stage()

    def begin_stage(self) -> None:
        """Forget the steps of the stage before: what trains, and on what, is another now."""
        self.lowest: float | None = None
        self.latest: list[float] = []
        self.means: list[float] = []
        self.steps = 0
        self._size = 1  # tens of steps in a mean
        self._tens: list[float] = []
        self._losses: list[float] = []

    def add(self, loss: float) -> bool:
        """Take the next step's loss, a finite number; tell whether ten steps are full."""
        if self.first is None:
            self.first = self.lowest = loss  # a first step at too high a rate may be the last good one
        self.steps += 1
        self._losses.append(loss)
        if len(self._losses) < BLOCK:
            return False
        self.latest, self._losses = sorted(self._losses), []
        mean = statistics.fmean(self.latest)
        self.lowest = mean if self.lowest is None else min(mean, self.lowest)
        self._tens.append(mean)
        if len(self._tens) == self._size:
            self.means.append(statistics.fmean(self._tens))
            self._tens = []
        if len(self.means) == MOST_MEANS:
            self.means = [statistics.fmean(self.means[i : i + 2]) for i in range(0, MOST_MEANS, 2)]
            self._size *= 2
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return all that is kept."""
        return {name: list(value) if isinstance(value, list) else value for name, value in vars(self).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what was kept."""
        vars(self).update({name: list(value) if isinstance(value, list) else value for name, value in state.items()})


def shot_up(losses: StepLosses, floor: float = 0.0) -> Symptom | None:
    """Tell whether nine of the last ten losses are above the stage's lowest by half of the run's first loss.

    Args:
        losses: Of a stage.
        floor: What the loss can fall to, -1 of a negative cosine; the first loss is measured from there. Of one that
            falls below it all the same, half of its fall counts.
    """
    if losses.first is None or losses.lowest is None or not losses.latest:
        return None
    if losses.latest[1] - losses.lowest <= LOST * max(abs(losses.first - floor), losses.first - losses.lowest):
        return None
    return Symptom(
        "loss_shot_up",
        "The training loss has shot up",
        f"from {losses.lowest:.3g} to {statistics.fmean(losses.latest):.3g}, the mean of the last {BLOCK} steps",
        "Give a lower learning rate (lr-find), a warm-up, or GradientClipping",
    )


def crawls(losses: StepLosses, rate: float | None, floor: float = 0.0) -> Symptom | None:
    """Tell whether the stage has learnt next to nothing by now.

    Its last third is lower than its first by less than a fiftieth of the run's first loss, and above nine tenths of it.

    Args:
        losses: Of a stage that is half over.
        rate: Its highest learning rate so far, to be said.
        floor: As of :func:`shot_up`.
    """
    third = len(losses.means) // 3
    if losses.first is None or losses.steps < ENOUGH or third == 0:
        return None
    early, late = statistics.fmean(losses.means[:third]), statistics.fmean(losses.means[-third:])
    if late - floor < LEFT * (losses.first - floor) or early - late > HARDLY * (losses.first - floor):
        return None
    at = "" if rate is None else f", at a rate of up to {rate:.3g}"
    return Symptom(
        "loss_crawls",
        "The training loss hardly falls",
        f"{early:.4g} at first and {late:.4g} now, over {losses.steps:,} steps{at}",
        "Give a higher learning rate (lr-find), or look whether labels belong to their images (check)",
    )
