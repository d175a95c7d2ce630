"""Two groups of runs against each other: what differs, by how much, and what it would take to know."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lightning_recipes.comparison.predictions import Paired
from lightning_recipes.evaluation.bootstrap import logit_interval
from lightning_recipes.evaluation.crossed import LEVEL, Crossed, crossed_difference, crossed_mean
from lightning_recipes.evaluation.intervals import wilson_interval, wilson_of
from lightning_recipes.evaluation.multiplicity import holm
from lightning_recipes.evaluation.paired_shares import images_to_show, mcnemar_p_value, paired_share_interval

__all__ = ["Difference", "Pair", "Verdict", "mean_of_losses", "mean_of_right", "pairs_of"]

Verdict = Literal["a", "b", "not shown"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Of a metric, the first less the second.

    Attributes:
        value: The difference.
        ci95: Its 95 % interval, of this pair alone.
        p_value: Two-sided, of this pair alone.
        p_adjusted: By Holm, over all pairs that are compared.
        images_needed: That would show a difference of this size four times in five; None where no number would.
        runs_needed: Runs a side that would, on these images; None where none would, or one run a side tells nothing.
        higher_is_better: As of an accuracy.
    """

    value: float
    ci95: tuple[float, float]
    p_value: float
    p_adjusted: float
    images_needed: int | None
    runs_needed: int | None
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """Which is better, if that is shown: by the adjusted p-value."""
        if not self.p_adjusted < LEVEL or self.value == 0:
            return "not shown"
        return "a" if (self.value > 0) == self.higher_is_better else "b"


@dataclass(frozen=True)
class Pair:
    """Two groups, by their positions.

    Attributes:
        a: The first.
        b: The second.
        accuracy: What differs in the share of images that are right.
        log_loss: What differs in the mean log loss; None where it is not known.
        gain: By image, the share of the runs of ``a`` that have it right less that of ``b``.
    """

    a: int
    b: int
    accuracy: Difference
    log_loss: Difference | None
    gain: Values


def pairs_of(found: Paired, *, against_first: bool = False) -> list[Pair]:
    """Return the pairs of groups: all, or each but the first against the first.

    Args:
        found: At least two groups.
        against_first: As for ablations, where the first is the whole.
    """
    places = [(a, b) for a, b in combinations(range(len(found.right)), 2) if a == 0 or not against_first]
    accuracies = _adjusted(
        [_of_right(found.right[a], found.right[b], len(places)) for a, b in places], higher_is_better=True
    )
    losses: list[Difference] | list[None] = [None] * len(places)
    if found.losses is not None:
        losses = _adjusted(
            [_of_losses(found.losses[a], found.losses[b], len(places)) for a, b in places], higher_is_better=False
        )
    return [
        Pair(a, b, accuracy, loss, found.right[a].mean(axis=0) - found.right[b].mean(axis=0))
        for (a, b), accuracy, loss in zip(places, accuracies, losses, strict=True)
    ]


def mean_of_right(right: Values) -> dict[str, Any]:
    """Return the share of right answers with its interval, of (runs, images): of one run Wilson's."""
    value = float(right.mean())
    if len(right) == 1:
        return {"value": value, "ci95": list(wilson_interval(int(right.sum()), right.shape[1]))}
    return {
        "value": value,
        "ci95": list(logit_interval(value, crossed_mean(right).half) or wilson_of(value, right.shape[1])),
    }


def mean_of_losses(losses: Values) -> dict[str, Any]:
    """Return the mean log loss with its interval, of (runs, images)."""
    found = crossed_mean(losses)
    return {"value": found.value, "ci95": [found.value - found.half, found.value + found.half]}


@dataclass(frozen=True)
class _Raw:
    """A difference before it is known among how many it is."""

    value: float
    ci95: tuple[float, float]
    p_value: float
    images_needed: int | None
    runs_needed: int | None


def _of_right(a: Values, b: Values, tests: int) -> _Raw:
    """Of two runs by counts, which is exact; of several by runs and images."""
    if len(a) > 1 or len(b) > 1:
        found = _raw(crossed_difference(a, b, shares=True, tests=tests))
        low, high = found.ci95
        return replace(found, ci95=(max(-1.0, low), min(1.0, high)))
    only_a, only_b, images = int((a > b).sum()), int((b > a).sum()), a.shape[1]
    p_value, needed = mcnemar_p_value(only_a, only_b), images_to_show(only_a, only_b, images, tests=tests)
    if needed is not None and p_value >= LEVEL / tests:  # these do not
        needed = max(needed, images + 1)
    return _Raw((only_a - only_b) / images, paired_share_interval(only_a, only_b, images), p_value, needed, None)


def _of_losses(a: Values, b: Values, tests: int) -> _Raw:
    return _raw(crossed_difference(a, b, tests=tests))


def _raw(found: Crossed) -> _Raw:
    interval = (found.value - found.half, found.value + found.half)
    return _Raw(found.value, interval, found.p_value, found.images_needed, found.runs_needed)


def _adjusted(found: list[_Raw], *, higher_is_better: bool) -> list[Difference]:
    adjusted = holm([one.p_value for one in found])
    return [
        Difference(one.value, one.ci95, one.p_value, p, one.images_needed, one.runs_needed, higher_is_better)
        for one, p in zip(found, adjusted, strict=True)
    ]
