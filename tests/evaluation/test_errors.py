"""Error analysis in numbers, against scikit-learn, torchmetrics and cases worked by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_matrix
from sklearn.metrics import precision_recall_fscore_support
from torchmetrics.classification import MulticlassCalibrationError

from lightning_recipes.evaluation.calibration import (
    calibration_error,
    cooled,
    fit_temperature,
    held_out_error,
    reliability,
)
from lightning_recipes.evaluation.confusion import confusion_matrix, most_confused, per_class
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.label_issues import label_issues
from lightning_recipes.evaluation.metrics import CalibrationError

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.randint(4, (500,), generator=GENERATOR)
LOGITS = 2 * torch.nn.functional.one_hot(LABELS, 4) + 1.5 * torch.randn(500, 4, generator=GENERATOR)
P = LOGITS.softmax(dim=1)
SAID = P.argmax(dim=1)
NAMES = ["a", "b", "c", "d"]


def test_matrix_and_figures_of_each_class_are_scikit_learns() -> None:
    matrix = confusion_matrix(LABELS, SAID, 4)
    assert np.array_equal(matrix.numpy(), sklearn_matrix(LABELS, SAID))
    precision, recall, f1, support = precision_recall_fscore_support(LABELS, SAID)
    for number, figures in enumerate(per_class(matrix, NAMES)):
        assert figures.images == support[number]
        assert figures.precision.value == pytest.approx(precision[number])
        assert figures.recall.value == pytest.approx(recall[number])
        assert figures.f1.value == pytest.approx(f1[number])
        for share in (figures.precision, figures.recall, figures.f1):
            assert share.low is not None
            assert share.value is not None
            assert share.high is not None
            assert 0 <= share.low < share.value < share.high <= 1
    assert (figures.recall.low, figures.recall.high) == wilson_interval(int(matrix[3, 3]), int(matrix[3].sum()))


def test_the_interval_of_f1_holds_the_truth_in_95_of_100_draws() -> None:
    truth = torch.tensor([[0.35, 0.15], [0.1, 0.4]]).flatten()
    f1 = 2 * 0.35 / (2 * 0.35 + 0.15 + 0.1)
    generator, inside = torch.Generator().manual_seed(1), 0
    for _ in range(1000):
        drawn = torch.multinomial(truth, 120, replacement=True, generator=generator)
        share = per_class(torch.bincount(drawn, minlength=4).reshape(2, 2), ["x", "y"])[0].f1
        assert share.low is not None
        assert share.high is not None
        inside += share.low <= f1 <= share.high
    assert 930 <= inside <= 970


def test_pairs_are_counted_one_way_and_classes_that_nobody_saw_have_no_figures() -> None:
    matrix = torch.tensor([[5, 3, 0], [1, 9, 0], [0, 0, 0]])
    pairs = most_confused(matrix, ["x", "y", "z"])
    assert [(p.true, p.predicted, p.images, p.share) for p in pairs] == [("x", "y", 3, 0.375), ("y", "x", 1, 0.1)]
    assert most_confused(matrix, ["x", "y", "z"], most=1) == pairs[:1]
    assert per_class(matrix, ["x", "y", "z"])[2].recall.value is None


def test_calibration_error_is_torchmetrics_where_no_probability_is_on_an_edge() -> None:
    theirs = MulticlassCalibrationError(4, n_bins=15, norm="l1")(P, LABELS)
    assert calibration_error(LABELS, P) == pytest.approx(float(theirs), abs=1e-6)
    assert sum(part.images for part in reliability(LABELS, P)) == 500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edges_and_a_probability_of_one_belong_to_the_bin_below(dtype: torch.dtype) -> None:
    third, one = torch.tensor([1 / 3, 1 / 3, 1 / 3], dtype=dtype), torch.tensor([0.0, 1.0, 0.0], dtype=dtype)
    near = torch.tensor([0.02, 0.96, 0.02], dtype=dtype)
    assert [part.images for part in reliability(torch.ones(2, dtype=torch.int64), torch.stack([one, near]))] == [2]
    (part,) = reliability(torch.tensor([0, 1]), torch.stack([third, torch.tensor([0.33, 0.32, 0.35], dtype=dtype)]))[:1]
    assert part.images == 1  # 1/3 lies in (4/15, 5/15], 0.35 in the next
    # By hand: both of one bin (14/15, 1], one right: |1/2 - 0.98|.
    assert calibration_error(torch.tensor([1, 0]), torch.stack([one, near])) == pytest.approx(0.48, abs=1e-7)
    assert math.isnan(calibration_error(torch.tensor([0]), torch.full((1, 3), math.nan, dtype=dtype)))


def test_the_logged_calibration_error_is_the_analysed_one_to_the_last_digit() -> None:
    p = torch.cat([P, torch.eye(4), torch.full((4, 4), 0.25), torch.tensor([[0.4, 0.6, 0.0, 0.0]])])
    labels = torch.cat([LABELS, torch.tensor([0, 1, 3, 2, 0, 1, 2, 3, 1])])
    whole = calibration_error(labels, p)
    for order in (torch.arange(len(p)), torch.randperm(len(p), generator=torch.Generator().manual_seed(5))):
        metric, other = CalibrationError(), CalibrationError()
        for number, rows in enumerate(torch.split(order, 37)):  # as two processes would
            (metric if number % 2 else other).update(p[rows], labels[rows])
        metric.sums = metric.sums + other.sums
        assert float(metric.compute()) == whole


def test_the_temperature_undoes_a_temperature() -> None:
    generator = torch.Generator().manual_seed(3)
    p = (3 * torch.randn(20000, 5, generator=generator)).softmax(dim=1)
    labels = torch.multinomial(p, 1, generator=generator).squeeze(1)  # p is calibrated by construction
    assert fit_temperature(labels, p) == pytest.approx(1.0, abs=0.04)
    sure = cooled(p, 0.5)
    assert fit_temperature(labels, sure) == pytest.approx(2.0, abs=0.08)
    assert calibration_error(labels, sure) > 0.1
    assert held_out_error(labels, sure) < 0.02
    torch.testing.assert_close(cooled(cooled(p, 0.5), 2.0), p.double(), atol=1e-6, rtol=1e-4)
    assert torch.equal(sure.argmax(dim=1), p.argmax(dim=1))


def test_labels_that_were_flipped_come_first() -> None:
    flipped = torch.arange(0, 500, 20)  # one in twenty
    given = LABELS.clone()
    given[flipped] = (given[flipped] + 1) % 4
    p = (6 * torch.nn.functional.one_hot(LABELS, 4) + 1.5 * torch.randn(500, 4, generator=GENERATOR)).softmax(dim=1)
    found = label_issues(given, p)
    first = {issue.row for issue in found[: len(given) // 10]}
    assert len(first & set(flipped.tolist())) >= 0.7 * len(flipped)
    assert all(issue.given != issue.suggested for issue in found)
    assert all(issue.margin <= 0 for issue in found if not issue.confident)
    assert [issue.margin for issue in found if issue.confident] == sorted(i.margin for i in found if i.confident)


def test_confident_learning_by_hand() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
    (issue,) = label_issues(labels, p)  # thresholds: class 0 0.55, class 1 0.625
    assert (issue.row, issue.given, issue.suggested, issue.confident) == (1, 0, 1, True)
    assert issue.margin == pytest.approx(-0.6)
    doubtful = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])  # 0.6 is less than class 1's 0.75
    assert [issue.confident for issue in label_issues(labels, doubtful)] == [False]


def test_a_single_image_is_analysed_too() -> None:
    assert label_issues(torch.tensor([0]), torch.tensor([[1.0, 0.0]])) == []
    assert held_out_error(torch.tensor([0]), torch.tensor([[0.9, 0.1]])) == pytest.approx(0.1, abs=1e-6)


def test_a_temperature_is_judged_on_the_half_that_it_was_not_fitted_on() -> None:
    """Two halves that need opposite temperatures: what one is mended by makes the other worse."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 3, generator=draw) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=draw).squeeze(1)
    said = torch.where(torch.arange(4000)[:, None] % 2 == 0, logits * 3, logits / 3).softmax(1)
    assert held_out_error(labels, said) > calibration_error(labels, said)
