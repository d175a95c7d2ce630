"""The Wilson interval against published values and against its own coverage."""

import numpy as np
import pytest

from lightning_recipes.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(correct: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).binomial(153, 0.95, size=4000)
    covered = np.mean([low <= 0.95 <= high for low, high in (wilson_interval(int(d), 153) for d in draws)])
    assert 0.93 <= covered <= 0.985


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_counts_that_are_no_share_are_refused(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson_interval(correct, total)


@pytest.mark.parametrize("total", range(1, 60))
def test_the_share_is_always_inside_its_interval(total: int) -> None:
    for correct in (0, 1, total - 1, total):
        low, high = wilson_interval(correct, total)
        assert 0 <= low <= correct / total <= high <= 1
