"""The range test's mathematics on curves whose answer is known by construction."""

import math
from itertools import pairwise

import numpy as np
import pytest

from lightning_recipes.optim.range_test import (
    SUGGESTIONS,
    geometric_rates,
    has_diverged,
    mean_curve,
    smooth,
    suggest,
)

RATES = geometric_rates(1e-6, 1.0, 121)  # twenty rates a decade

OF_A_DESCENT = {name: rule for name, rule in SUGGESTIONS.items() if name != "divergence"}


def descent(centre: float, width: float = 1.0) -> list[float]:
    """Falls from 1 to 0 along a logistic curve around ``centre``, then rises steeply beyond a hundred times of it."""
    logs = np.log10(np.array(RATES)) - math.log10(centre)
    curve = 1 / (1 + np.exp(4 * logs / width)) + 5 * np.clip(logs - 2, 0, None) ** 2
    return [float(value) for value in curve]


def test_rates_are_the_same_factor_apart() -> None:
    ratios = [b / a for a, b in pairwise(RATES)]
    assert ratios == pytest.approx([10 ** (1 / 20)] * 120)
    assert (RATES[0], RATES[-1]) == (1e-6, 1.0)


def test_smoothing_is_adams_corrected_average() -> None:
    assert smooth([3.0, 3.0, 3.0], beta=0.9) == pytest.approx([3.0, 3.0, 3.0])  # no start at zero
    assert smooth([1.0, 2.0], beta=0.9) == pytest.approx([1.0, (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.81)])


@pytest.mark.parametrize("centre", [1e-4, 1e-3])
def test_the_steepest_rate_is_where_the_curve_falls_fastest(centre: float) -> None:
    steep = SUGGESTIONS["steep"](RATES, descent(centre))
    assert steep is not None
    assert centre <= steep <= 2 * centre  # of nearly equal slopes the highest


def test_of_equal_slopes_the_highest_rate_is_taken() -> None:
    straight = [3.0 - 0.01 * i for i in range(100)] + [2.01 + 0.1 * i for i in range(21)]
    assert SUGGESTIONS["steep"](RATES, straight) == pytest.approx(RATES[99], rel=0.15)


def test_the_valley_is_the_middle_of_the_longest_descent() -> None:
    curve = [1.0] * 21 + [1.0 - 0.01 * i for i in range(1, 61)] + [0.4 + 0.05 * i for i in range(1, 41)]
    assert SUGGESTIONS["valley"](RATES, curve) == pytest.approx(RATES[50], rel=0.2)


def test_a_loss_that_only_rises_still_says_what_the_weights_bear() -> None:
    flat = [0.9] * 60 + [0.9 * 1.1**i for i in range(1, 62)]  # 1.5 times the start at the fifth point after the 60th
    assert SUGGESTIONS["divergence"](RATES, flat) == pytest.approx(RATES[64] / 10)
    assert SUGGESTIONS["divergence"](RATES, [0.9] * 121) is None


def test_a_tenth_of_the_minimum_and_the_slide_lie_below_the_minimum() -> None:
    curve = descent(1e-4)
    lowest = RATES[int(np.argmin(curve))]
    assert SUGGESTIONS["minimum"](RATES, curve) == pytest.approx(lowest / 10)
    slide = SUGGESTIONS["slide"](RATES, curve)
    assert slide is not None
    assert 1e-4 < slide <= lowest


def test_a_scaled_and_shifted_loss_suggests_the_same_rates() -> None:
    curve = descent(1e-4)
    other = [7.0 + 30 * value for value in curve]
    for name, rule in OF_A_DESCENT.items():
        assert rule(RATES, other) == rule(RATES, curve), name


def test_several_orders_give_the_mean_curves_rate_and_the_spread_of_the_single_ones() -> None:
    curves = [descent(5e-5), descent(2e-4)[:80]]
    found = suggest(RATES, curves)
    assert 5e-5 < found["steep"].lr < 4e-4
    assert found["steep"].low == pytest.approx(SUGGESTIONS["steep"](RATES, curves[0]))
    assert found["steep"].low <= found["steep"].lr <= found["steep"].high
    assert len(mean_curve(curves)) == 80


@pytest.mark.parametrize("name", OF_A_DESCENT)
def test_a_curve_without_a_descent_suggests_no_wrong_number(name: str) -> None:
    rate = SUGGESTIONS[name](RATES, [1.0 + 0.01 * i for i in range(121)])
    assert rate is None or rate <= RATES[0]


def test_divergence_is_a_multiple_of_the_lowest_or_no_number() -> None:
    assert not has_diverged([1.0, 0.5, 0.6], beta=0.0, threshold=4)
    assert has_diverged([1.0, 0.5, 2.1], beta=0.0, threshold=4)
    assert has_diverged([1.0, math.nan], beta=0.9, threshold=4)
    assert has_diverged([math.inf], beta=0.9, threshold=4)
    assert not has_diverged([-0.001, -0.5, -0.4], beta=0.0, threshold=4)  # of which there are no multiples
    assert SUGGESTIONS["divergence"](RATES, [-0.001 * (i + 1) for i in range(121)]) is None
