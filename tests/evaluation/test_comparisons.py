"""Differences of runs and recipes against SciPy, published values, brute force, and simulated runs of known truth."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm, ttest_ind, ttest_rel

from benchmarks.comparison_coverage import interval, simulated
from lightning_recipes.evaluation.crossed import crossed_difference, crossed_mean
from lightning_recipes.evaluation.multiplicity import holm
from lightning_recipes.evaluation.paired_shares import images_to_show, mcnemar_p_value, paired_share_interval

Z = norm.isf(0.025)


def likely_score(only_a: int, only_b: int, images: int, difference: float) -> float:
    """Tango's score with the nuisance share found by maximizing the likelihood, not by his formula."""

    def unlikely(share: float) -> float:
        logs = only_a * math.log(share + difference) + only_b * math.log(share)
        return -(logs + (images - only_a - only_b) * math.log(1 - 2 * share - difference))

    ends = (max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12)
    share = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-13}).x
    error = math.sqrt(images * (2 * share + difference * (1 - difference)))
    return (only_a - only_b - images * difference) / error


@pytest.mark.parametrize(("only_a", "only_b", "images"), [(12, 3, 153), (1, 1, 40), (30, 25, 100), (4, 60, 2000)])
def test_the_interval_of_two_runs_is_where_the_score_says_so(only_a: int, only_b: int, images: int) -> None:
    middle = (only_a - only_b) / images
    low = brentq(lambda d: likely_score(only_a, only_b, images, d) - Z, -0.9, middle)
    high = brentq(lambda d: likely_score(only_a, only_b, images, d) + Z, middle, 0.9)
    assert paired_share_interval(only_a, only_b, images) == pytest.approx((low, high), abs=1e-5)


def test_published_interval() -> None:
    # Tango (1998), section 6: disinfection of contact lenses, 44 subjects, 43 cured by both, one by one of the two.
    assert paired_share_interval(0, 1, 44) == pytest.approx((-0.118, 0.059), abs=5e-4)


@pytest.mark.parametrize("images", [1, 2, 7, 30])
def test_the_difference_is_in_its_interval_whatever_was_counted(images: int) -> None:
    for only_a in range(images + 1):
        for only_b in range(images + 1 - only_a):
            low, high = paired_share_interval(only_a, only_b, images)
            assert -1 <= low <= (only_a - only_b) / images + 1e-9
            assert (only_a - only_b) / images - 1e-9 <= high <= 1
            assert high > low


def test_two_runs_that_differ_nowhere_are_not_shown_to_differ() -> None:
    assert mcnemar_p_value(0, 0) == 1
    assert images_to_show(0, 0, 50) is None


def test_so_many_images_show_a_difference_four_times_in_five() -> None:
    images = images_to_show(20, 10, 200)
    assert images is not None
    drawn = np.random.default_rng(0).multinomial(images, [0.1, 0.05, 0.85], size=3000)
    shown = [(a - b) / math.sqrt(a + b) > Z for a, b, _ in drawn.tolist()]
    assert 0.77 < np.mean(shown) < 0.83


def values(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def test_one_run_each_is_students_paired_test() -> None:
    a, b = values(1, 40), values(1, 40, seed=1)
    theirs, found = ttest_rel(a[0], b[0]), crossed_difference(a, b)
    assert found.p_value == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.95)
    assert (found.value - found.half, found.value + found.half) == pytest.approx((low, high))
    assert found.runs_needed is None


def test_runs_that_differ_alone_are_welchs_test() -> None:
    """Where every image says the same in a run, there is nothing but runs."""
    a, b = np.repeat(values(4, 1), 30, axis=1), np.repeat(values(6, 1, seed=1) + 1, 30, axis=1)
    theirs, found = ttest_ind(a[:, 0], b[:, 0], equal_var=False), crossed_difference(a, b)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.images_needed is None  # no number of images says more


def test_of_a_single_run_runs_differ_as_on_the_other_side() -> None:
    a, b = np.repeat(values(5, 1), 30, axis=1), np.full((1, 30), 2.0)
    found = crossed_difference(a, b)
    assert found.half == pytest.approx(2.776445 * a[:, 0].std(ddof=1) * math.sqrt(1 / 5 + 1))  # t of 4 degrees


def test_runs_that_are_one_another_say_nothing_of_seeds() -> None:
    a = np.repeat((values(1, 60) > 0).astype(float), 3, axis=0)
    assert crossed_mean(a).half == pytest.approx(crossed_mean(a[:1]).half, rel=1e-9)


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("shares", [False, True])
def test_of_one_image_there_is_no_interval(runs: int, shares: bool) -> None:
    found = crossed_difference(np.ones((runs, 1)), np.zeros((runs, 1)), shares=shares)
    assert math.isnan(found.half)
    assert found.p_value == 1


def test_what_is_needed_is_more_than_what_does_not_show_it() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        images, runs = int(generator.integers(2, 60)), int(generator.integers(2, 4))
        a, b = ((generator.random((runs, images)) < share).astype(float) for share in (0.8, 0.7))
        found = crossed_difference(a, b, shares=True)
        assert found.half > 0
        if found.p_value >= 0.05:
            assert found.images_needed is None or found.images_needed > images
            assert found.runs_needed is None or found.runs_needed > runs


def test_so_many_runs_show_a_difference_four_times_in_five() -> None:
    generator = np.random.default_rng(0)
    needed = [
        crossed_difference(*simulated(generator, (5, 5), 2000, (2.0, 1.7), 0.2)[:2]).runs_needed for _ in range(300)
    ]
    runs = int(np.median([one for one in needed if one is not None]))
    draws = [simulated(generator, (runs, runs), 2000, (2.0, 1.7), 0.2)[:2] for _ in range(300)]
    assert 0.6 < np.mean([crossed_difference(*one).p_value < 0.05 for one in draws]) < 0.97


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("runs", [(1, 1), (3, 3)])
@pytest.mark.parametrize("pairs", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_intervals_hold_the_truth_as_often_as_they_say(runs: tuple[int, int], pairs: int) -> None:
    generator = np.random.default_rng(1)
    held = []
    for _ in range(pairs):
        a, b, true = simulated(generator, runs, 1000, (2.0, 1.8), 0.05 if runs != (1, 1) else 0.0)
        low, high = interval(a, b)
        held.append(low <= true <= high)
    wide = 0.025 if pairs < 2000 else 0.01
    assert 0.95 - wide <= np.mean(held) <= 0.95 + wide


@pytest.mark.parametrize(("times", "least", "most"), [(0.2, 0.0, 0.15), (3.0, 0.99, 1.0)])
def test_a_small_difference_is_not_shown_and_a_large_one_is(times: float, least: float, most: float) -> None:
    """Planted: so many times half of an interval's width, over the images of two runs."""
    generator, half = np.random.default_rng(2), 0.02
    shown = []
    for _ in range(200):
        differ, apart = 0.06, times * half
        a, b, _ = generator.multinomial(600, [(differ + apart) / 2, (differ - apart) / 2, 1 - differ]).tolist()
        shown.append(mcnemar_p_value(a, b) < 0.05)
    assert least <= np.mean(shown) <= most
    low, high = paired_share_interval(18, 18, 600)
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)
