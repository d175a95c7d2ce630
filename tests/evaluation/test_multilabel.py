"""Average precision, F1 and thresholds against scikit-learn, resampled intervals against images drawn for real."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from lightning_recipes.evaluation.bootstrap import image_counts, resamples_of, share_interval
from lightning_recipes.evaluation.halves import halves_of
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.multilabel import (
    average_precision,
    best_thresholds,
    f1_scores,
    held_out_answers,
    mean_known,
)
from lightning_recipes.modules.tasks.multilabel import Multilabel

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
    # Of one half the thresholds are those of the other.
    theirs, ours = halves_of(60)[0]
    expected = p[ours].double() >= best_thresholds(LABELS[:60][theirs], p[theirs])
    assert torch.equal(held_out_answers(LABELS[:60], p)[ours], expected)


def test_the_interval_of_a_share_of_images_is_wilsons() -> None:
    hits = (torch.arange(400) < 300).double()
    found = share_interval(0.75, resamples_of(lambda weights: weights @ hits / 400, 400))
    assert found is not None
    assert found == pytest.approx(wilson_interval(300, 400), abs=0.006)


def test_an_interval_holds_its_number_also_of_few_images_of_many_classes() -> None:
    generator = torch.Generator().manual_seed(3)
    labels = (torch.rand(40, 60, generator=generator) < 0.1).to(torch.uint8)
    p = torch.rand(40, 60, generator=generator)
    value = float(mean_known(average_precision(labels, p)))
    resampled = resamples_of(lambda weights: mean_known(average_precision(labels, p, weights)), 40)
    assert float((resampled > value).double().mean()) > 0.975  # so percentiles would not
    found = share_interval(value, resampled)
    assert found is not None
    assert 0 < found[0] < value < found[1] < 1


def test_where_all_resamples_say_the_same_there_is_no_interval() -> None:
    assert share_interval(1.0, torch.ones(100)) is None
    assert share_interval(float("nan"), torch.rand(100)) is None


def test_probabilities_that_are_none_have_no_precision() -> None:
    labels, p = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.5, torch.nan], [0.5, 0.5]])
    found = Multilabel().summary(Multilabel().seen(p, labels))
    assert set(found.values()) == {None}
    metrics = Multilabel().metrics(2, "val_")
    metrics.update(p, labels)
    assert metrics.compute()["val_map"].isnan()


def test_a_single_class_is_a_question_too() -> None:
    labels, p = LABELS[:, :1].float(), PROBABILITIES[:, :1]
    metrics = Multilabel().metrics(1, "val_")
    metrics.update(p, labels)
    theirs = average_precision_score(labels.numpy(), p.numpy())
    assert float(metrics.compute()["val_map"]) == pytest.approx(theirs, abs=1e-6)
    assert float(metrics.compute()["val_f1"]) == pytest.approx(f1_score(labels.numpy(), p.numpy() >= 0.5), abs=1e-6)
