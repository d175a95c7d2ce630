"""Values of a trial: a function of its number, distributed as SciPy says."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.kinds import IntRange
from lightning_recipes.sweeps.space import Space, parse_space
from lightning_recipes.sweeps.values import covering, grid_points, grid_size, values_of

SEARCH: dict[str, Any] = {
    "model.lr": {"log": [1e-4, 1e-1]},
    "model.dropout": {"uniform": [-1, 3]},
    "data.batch_size": {"int": [3, 7]},
    "stages": {"log_int": [1, 100]},
    "model.optimizer": {"choice": ["sgd", "adamw", None]},
    "model.optimizer.momentum": {"uniform": [0, 1], "when": {"model.optimizer": "sgd"}},
}
NUMBERS = 2000


@pytest.fixture(scope="module")
def space() -> Space:
    return parse_space(SEARCH)


@pytest.mark.parametrize("sampler", ["random", "quasi_random"])
def test_the_same_number_has_the_same_values_whoever_draws_it_and_when(space: Space, sampler: str) -> None:
    forwards = [values_of(space, number, seed=5, sampler=sampler) for number in range(20)]
    backwards = [values_of(parse_space(SEARCH), number, seed=5, sampler=sampler) for number in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert len({values["model.lr"] for values in forwards}) == 20
    assert forwards[0] != values_of(space, 0, seed=6, sampler=sampler)


def test_a_random_value_does_not_depend_on_what_else_is_searched(space: Space) -> None:
    alone = parse_space({"model.lr": SEARCH["model.lr"]})
    for number in range(20):
        one = values_of(alone, number, seed=1, sampler="random")
        assert one["model.lr"] == values_of(space, number, seed=1, sampler="random")["model.lr"]


def test_random_values_are_distributed_as_scipy_says(space: Space) -> None:
    drawn = [values_of(space, number, seed=0, sampler="random") for number in range(NUMBERS)]

    def p_value(key: str, distribution: Any) -> float:
        return float(stats.kstest([values[key] for values in drawn if key in values], distribution.cdf).pvalue)

    assert p_value("model.lr", stats.loguniform(1e-4, 1e-1)) > 0.01
    assert p_value("model.dropout", stats.uniform(-1, 4)) > 0.01
    assert p_value("model.optimizer.momentum", stats.uniform(0, 1)) > 0.01
    sizes = np.bincount([values["data.batch_size"] for values in drawn], minlength=8)[3:]
    assert stats.chisquare(sizes).pvalue > 0.01
    counted = np.bincount([values["stages"] for values in drawn], minlength=101)[1:]
    shares = np.log1p(1 / np.arange(1, 101)) / np.log(101)
    assert stats.chisquare(counted, shares * NUMBERS).pvalue > 0.01
    assert IntRange(1, 100, log=True).at(1 - 1e-9) == 100, "it is as likely as it says"
    chosen = [values["model.optimizer"] for values in drawn]
    assert stats.chisquare([chosen.count(name) for name in ("sgd", "adamw", None)]).pvalue > 0.01
    correlation = stats.spearmanr(*zip(*[(v["model.lr"], v["model.dropout"]) for v in drawn], strict=True))
    assert correlation.pvalue > 0.01


def test_a_value_exists_only_with_the_value_that_it_is_for(space: Space) -> None:
    for number in range(50):
        values = values_of(space, number, seed=0, sampler="random")
        assert ("model.optimizer.momentum" in values) == (values["model.optimizer"] == "sgd")


def test_quasi_random_values_are_scipys_sequence(space: Space) -> None:
    points = qmc.Sobol(len(SEARCH), scramble=True, seed=7).random(16)
    for number, point in enumerate(points):
        values = values_of(space, number, seed=7, sampler="quasi_random")
        assert values["model.lr"] == pytest.approx(10 ** (-4 + 3 * point[0]))
        assert values["model.dropout"] == pytest.approx(-1 + 4 * point[1])
        if "model.optimizer.momentum" in values:
            assert values["model.optimizer.momentum"] == pytest.approx(point[5])


def test_a_grid_has_every_combination_once() -> None:
    space = parse_space({
        "lr": {"log": [1e-4, 1e-2], "steps": 3},
        "optimizer": {"choice": ["sgd", "adamw"]},
        "momentum": {"uniform": [0, 1], "steps": 2, "when": {"optimizer": "sgd"}},
        "depth": {"int": [1, 2]},
    })  # fmt: skip
    size = grid_size(space, 1000)
    assert size == 3 * (2 + 1) * 2
    points = [values_of(space, number, seed=0, sampler="grid") for number in range(size)]
    assert points == list(grid_points(space))
    assert len({tuple(sorted(values.items())) for values in points}) == size
    assert [point["lr"] for point in points[::6]] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert grid_size(space, 5) == 5


def test_a_grid_of_numbers_needs_to_know_how_many(space: Space) -> None:
    with pytest.raises(UserError, match=r"search\.model\.lr\.steps: not given; a grid needs the number of values"):
        grid_size(space, 10)


def test_a_few_trials_cover_each_key(space: Space) -> None:
    chain = {**SEARCH, "deep": {"int": [1, 2], "when": {"model.optimizer": None}}}
    drawn = covering(parse_space(chain), seed=0)
    assert {key for values in drawn for key in values} == set(chain)
    assert len(drawn) <= 3
