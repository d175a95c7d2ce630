"""The Wilson interval against published values and against its own coverage."""

import numpy as np
import pytest

from lightning_recipes.evaluation.intervals import difference_interval, wilson_interval


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


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe (1998), "Interval estimation for the difference between independent proportions", table II, method 10.
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_published_intervals_of_a_difference(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert difference_interval(*counts) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_the_interval_of_a_difference_covers_it_about_as_often_as_it_says(times: float) -> None:
    rng = np.random.default_rng(2)
    pairs = zip(rng.binomial(360, 0.06, size=2000), rng.binomial(400, 0.02, size=2000), strict=True)
    intervals = [difference_interval(int(a), 360, int(b), 400, times=times) for a, b in pairs]
    assert 0.93 <= np.mean([low <= 0.06 - times * 0.02 <= high for low, high in intervals]) <= 0.98


def test_the_error_of_a_set_that_was_looked_at_whole_is_known() -> None:
    low, high = wilson_interval(37, 359)
    assert difference_interval(37, 359, 3, 30, times=2, other_of=30) == pytest.approx((low - 0.2, high - 0.2))
    drawn = difference_interval(37, 359, 3, 30, other_of=10**9)
    assert drawn == pytest.approx(difference_interval(37, 359, 3, 30), abs=1e-6)
