"""Average precision, F1 and thresholds against scikit-learn, resampled intervals against images drawn for real."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from lightning_recipes.evaluation.bootstrap import bootstrap_interval, image_counts
from lightning_recipes.evaluation.multilabel import (
    average_precision,
    best_thresholds,
    f1_scores,
    held_out_answers,
    mean_known,
)

GENERATOR = torch.Generator().manual_seed(0)
LABELS = (torch.rand(200, 4, generator=GENERATOR) < torch.tensor([0.5, 0.2, 0.05, 0.3])).to(torch.uint8)
PROBABILITIES = (0.3 * LABELS + 0.7 * torch.rand(200, 4, generator=GENERATOR)).round(decimals=2)  # many are equal


def test_average_precision_is_scikit_learns() -> None:
    theirs = average_precision_score(LABELS.numpy(), PROBABILITIES.numpy(), average=None)
    np.testing.assert_allclose(average_precision(LABELS, PROBABILITIES).numpy(), theirs, rtol=1e-12)


def test_average_precision_with_weights_is_that_of_images_repeated() -> None:
    counts = image_counts(200, 3)
    ours = average_precision(LABELS, PROBABILITIES, counts)
    for row, drawn in zip(ours, counts, strict=True):
        index = torch.arange(200).repeat_interleave(drawn.long())
        theirs = average_precision_score(LABELS[index].numpy(), PROBABILITIES[index].numpy(), average=None)
        np.testing.assert_allclose(row.numpy(), theirs, rtol=1e-12)


def test_a_class_that_no_image_has_is_no_number_and_leaves_the_mean_alone() -> None:
    labels = torch.tensor([[1, 0], [0, 0]], dtype=torch.uint8)
    found = average_precision(labels, torch.tensor([[0.9, 0.5], [0.1, 0.5]]))
    assert found[0] == 1
    assert found[1].isnan()
    assert mean_known(found) == 1


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_f1_is_scikit_learns(average: str) -> None:
    answers = PROBABILITIES >= 0.5
    macro, micro = f1_scores(LABELS, answers)
    theirs = f1_score(LABELS.numpy(), answers.numpy(), average=average)
    assert float(macro if average == "macro" else micro) == pytest.approx(theirs)


def test_a_threshold_has_the_best_f1_that_there_is() -> None:
    for c, threshold in enumerate(best_thresholds(LABELS, PROBABILITIES)):
        precision, recall, _ = precision_recall_curve(LABELS[:, c].numpy(), PROBABILITIES[:, c].numpy())
        best = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
        assert f1_score(LABELS[:, c].numpy(), (PROBABILITIES[:, c] >= threshold).numpy()) == pytest.approx(best)


def test_thresholds_are_judged_on_images_that_they_were_not_chosen_on() -> None:
    """Of answers at random, thresholds that were chosen on the same images look better than they are."""
    p = torch.rand(60, 4, generator=torch.Generator().manual_seed(1))
    same = f1_scores(LABELS[:60], p >= best_thresholds(LABELS[:60], p))[0]
    assert f1_scores(LABELS[:60], held_out_answers(LABELS[:60], p))[0] < same
    # Of the first half the thresholds are those of the second.
    ours, theirs = torch.arange(60) % 2 == 0, torch.arange(60) % 2 == 1
    expected = p[ours].double() >= best_thresholds(LABELS[:60][theirs], p[theirs])
    assert torch.equal(held_out_answers(LABELS[:60], p)[ours], expected)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    low, high = bootstrap_interval(lambda weights: weights @ values / 400, 400)
    half = 1.96 * float(values.std()) / 20
    assert low == pytest.approx(float(values.mean()) - half, abs=0.01)
    assert high == pytest.approx(float(values.mean()) + half, abs=0.01)
