"""What mistakes cost, where some are worse than others."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.evaluation.intervals import paired_difference

__all__ = ["cost_figures", "cost_matrix"]

Costs = Mapping[str, Mapping[str, float]]


def cost_matrix(costs: Costs, names: Sequence[str], who: str) -> Tensor:
    """Return what it costs to take a class (row) for another (column), (C, C), float64: 0 where it is right.

    Args:
        costs: By the name of the true class, by that of what it is taken for; 1 where nothing is said.
        names: Of the classes.
        who: The key, for errors.

    Raises:
        UserError: A class is not there, or a cost is no number >= 0.
    """
    matrix = 1 - torch.eye(len(names), dtype=torch.float64)
    place = {name: position for position, name in enumerate(names)}
    for true, row in costs.items():
        for said, cost in ((true, 0.0), *row.items()):
            for name in map(str, (true, said)):  # a class that is called 1 is a number in YAML
                if name not in place:
                    raise UserError(f"{who}: there is no class '{name}'{did_you_mean(name, names)}")
            if not 0 <= cost < float("inf"):
                raise UserError(f"{who}: {cost} for {true} taken for {said} is not a number >= 0")
            if cost and str(true) == str(said):
                raise UserError(f"{who}: {true} taken for {said} is right, and costs nothing; leave it out")
            matrix[place[str(true)], place[str(said)]] = cost
    return matrix


def cost_figures(labels: Tensor, probabilities: Tensor, matrix: Tensor) -> dict[str, Any]:
    """Return the mean cost of an image as it is decided, and where the lowest expected cost decides; {} of no numbers.

    Source: Elkan (2001), "The Foundations of Cost-Sensitive Learning", section 1.

    Args:
        labels: (N,).
        probabilities: (N, C).
        matrix: Of :func:`cost_matrix`.

    Returns:
        ``most_probable`` and ``lowest_cost``, each the mean cost with ``value``, ``low`` and ``high`` (95 %), the
        ``difference`` of both, paired, and how many decisions are ``changed``.
    """
    if not probabilities.isfinite().all():  # of a training that diverged
        return {}
    plain, cheapest = probabilities.argmax(dim=1), (probabilities.double() @ matrix).argmin(dim=1)
    costs = [matrix[labels, said] for said in (plain, cheapest)]
    difference, half = paired_difference((costs[1] - costs[0]).numpy())
    return {
        "most_probable": _mean(costs[0]),
        "lowest_cost": _mean(costs[1]),
        "difference": _between(difference, half),
        "changed": int((plain != cheapest).sum()),
    }


def _mean(costs: Tensor) -> dict[str, float | None]:
    mean, half = paired_difference(costs.numpy())
    return _between(mean, half, least=0.0)


def _between(value: float, half: float, least: float = -math.inf) -> dict[str, float | None]:
    """None for an interval that one image cannot have."""
    if math.isnan(half):
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": max(least, value - half), "high": value + half}
