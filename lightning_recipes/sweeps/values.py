"""The values of a trial as a function of its number: nothing is remembered, and whoever draws them draws the same."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lightning_recipes.errors import UserError
from lightning_recipes.randomness import numpy_generator_for
from lightning_recipes.sweeps.space import Searched, Space

__all__ = ["ONE_AT_A_TIME", "SAMPLERS", "Values", "covering", "grid_points", "grid_size", "values_of"]

SAMPLERS = ("random", "quasi_random", "grid", "tpe")
ONE_AT_A_TIME = "one_at_a_time"
Values = dict[str, Any]


def values_of(space: Space, number: int, *, seed: int, sampler: str) -> Values:
    """Return the values of a trial, of the keys that exist in it.

    Args:
        space: What is searched.
        number: Of the trial, from 0; in a grid below its size.
        seed: Of the search. A grid has none.
        sampler: ``random``: each value is a function of (seed, number, key), whatever else is searched.
            ``quasi_random``: a point of Sobol's sequence, scrambled by the seed, with a dimension for each key of the
            file. ``grid``: the last key changes first. ``one_at_a_time``: of trial 0 none, of trial k the k-th key's
            first value alone. ``tpe`` is no function of the number: see
            :mod:`lightning_recipes.sweeps.tpe`.

    Raises:
        ValueError: Another sampler.
    """
    if sampler == "grid":
        return next(islice(grid_points(space), number, None))
    if sampler == ONE_AT_A_TIME:
        return {one.key: one.kind.at(0.0) for one in space.keys[number - 1 : number]} if number else {}
    if sampler == "random":
        shares = {one.key: _share(one.key, number, seed) for one in space.keys}
    elif sampler == "quasi_random":
        shares = _sobol(space, number, seed)
    else:
        raise ValueError(f"values_of: {sampler!r} is not one of {SAMPLERS[:3]}")
    values: Values = {}
    for one in space.ordered:
        if one.exists(values):
            values[one.key] = one.kind.at(shares[one.key])
    return values


def _share(key: str, number: int, seed: int) -> float:
    return float(numpy_generator_for("sweep", key, number, seed=seed).random())


def _sobol(space: Space, number: int, seed: int) -> dict[str, float]:
    """Source: Sobol' (1967); scrambled as Owen (1998) says, by SciPy."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(space.keys), scramble=True, seed=seed)
    if number:
        sequence.fast_forward(number)
    (point,) = sequence.random(1)
    return {one.key: float(share) for one, share in zip(space.keys, point, strict=True)}


def grid_points(space: Space) -> Iterator[Values]:
    """Yield the points of the grid, each once.

    Raises:
        UserError: A range of numbers without ``steps``.
    """
    for one in space.keys:
        if one.kind.grid() is None:
            raise UserError(f"search.{one.key}.steps: not given; a grid needs the number of values, as in steps: 5")
    yield from _below({}, space.ordered)


def _below(values: Values, left: list[Searched]) -> Iterator[Values]:
    if not left:
        yield dict(values)
        return
    first, rest = left[0], left[1:]
    if not first.exists(values):
        yield from _below(values, rest)
        return
    for value in first.kind.grid() or []:
        yield from _below({**values, first.key: value}, rest)


def grid_size(space: Space, most: int) -> int:
    """Return how many points the grid has, or ``most`` where it has more."""
    return sum(1 for _ in islice(grid_points(space), most))


def covering(space: Space, seed: int) -> list[Values]:
    """Return values of a few trials in which each key exists at least once, to check a recipe with."""
    drawn: list[Values] = []
    known = {one.key: one for one in space.keys}
    for one in space.keys:
        if any(one.key in values for values in drawn):
            continue
        forced = _conditions_of(one, known)
        values: Values = {}
        for other in space.ordered:
            if other.exists(values):
                values[other.key] = forced.get(other.key, other.kind.at(_share(other.key, 0, seed)))
        drawn.append(values)
    return drawn


def _conditions_of(one: Searched, known: dict[str, Searched]) -> Values:
    """A value of each key that has to have one for another to exist."""
    forced: Values = {}
    for other, values in one.when.items():
        forced |= {**_conditions_of(known[other], known), other: values[0]}
    return forced
