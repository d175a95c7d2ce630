"""What the rules go by is what the benchmark's table says."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_recipes.suggest.experience import ERROR_LEFT, error_left

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def transfer() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "transfer.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("steps", "recipe"), [(0, "head"), (30, "30_steps_1e-4"), (100, "100_steps_3e-4"), (300, "300_steps_1e-3")]
)
def test_shares_of_the_heads_error_are_those_of_the_table(steps: int, recipe: str, transfer: Any) -> None:
    low, middle, high = transfer["error_left"](transfer["TABLE"], recipe)
    assert ERROR_LEFT[steps] == pytest.approx((middle, low, high), abs=0.006)


def test_of_a_thousand_steps_the_share_of_three_hundred_is_known(transfer: Any) -> None:
    _, share, _ = transfer["error_left"](transfer["TABLE"], "1000_steps_1e-3", "300_steps_1e-3")
    assert ERROR_LEFT[1000] == pytest.approx(tuple(share * one for one in ERROR_LEFT[300]), abs=0.006)


def test_more_steps_leave_less_and_never_more_than_was_measured() -> None:
    middles = [error_left(steps)[0] for steps in (0, 1, 29, 30, 60, 100, 200, 300, 700, 1000, 10_000)]
    assert middles == sorted(middles, reverse=True)
    assert (middles[0], middles[-1]) == (1.0, ERROR_LEFT[1000][0])
    assert error_left(100) == ERROR_LEFT[100]
