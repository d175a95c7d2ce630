"""The best of several, and what it is worth on other images."""

import numpy as np
import pytest

from lightning_recipes.evaluation.choice import corrected_for_choice


@pytest.mark.parametrize("higher", [True, False])
def test_of_many_that_are_equally_good_the_best_flatters_and_the_corrected_number_does_not(higher: bool) -> None:
    generator, values, corrected = np.random.default_rng(0), [], []
    for _ in range(40):
        right = (generator.random((24, 300)) < 0.9).astype(float)
        found = corrected_for_choice(right if higher else 1 - right, higher_is_better=higher)
        values.append(found.value if higher else 1 - found.value)
        corrected.append(found.corrected if higher else 1 - found.corrected)
        assert found.ci95[0] < found.corrected < found.ci95[1]
    assert np.mean(values) > 0.93  # each of them is worth 0.9
    assert np.mean(corrected) == pytest.approx(0.9, abs=0.006)


def test_one_that_is_far_better_needs_no_correction() -> None:
    right = np.zeros((3, 200))
    right[1, :180] = 1
    found = corrected_for_choice(right)
    assert found.value == 0.9
    assert found.corrected == pytest.approx(0.9, abs=0.005)
