"""Areas, thresholds, coverage and costs, against scikit-learn, DeLong's formula and cases worked by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor

from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.costs import cost_figures, cost_matrix
from lightning_recipes.evaluation.further_metrics import FURTHER_METRICS
from lightning_recipes.evaluation.halves import halves_of
from lightning_recipes.evaluation.ranking import curve, ranking, roc_auc
from lightning_recipes.evaluation.thresholds import chosen_threshold, coverage_curve, rejection


def scores(images: int = 240, *, seed: int = 0, digits: int = 1) -> tuple[Tensor, Tensor]:
    """Labels of which a third are yes, and probabilities with many ties that know something of them."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(images, generator=generator) < 0.33).float()
    noise = torch.rand(images, generator=generator)
    return labels, (0.3 * labels + 0.7 * noise).mul(10**digits).round().div(10**digits)


def of_classes(images: int = 300, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator) + 1.5 * torch.eye(classes)[labels]
    return labels, logits.softmax(dim=1)


@pytest.mark.parametrize("digits", [1, 6])
def test_the_area_is_that_of_scikit_learn_and_its_error_that_of_delong(digits: int) -> None:
    labels, p = scores(digits=digits)
    area, errors = roc_auc(labels, p)
    assert area == pytest.approx(metrics.roc_auc_score(labels, p), abs=1e-12)
    # DeLong et al. (1988), equations 4 to 6, over all pairs.
    here, others = p[labels > 0].double(), p[labels == 0].double()
    pairs = (here[:, None] > others).double() + 0.5 * (here[:, None] == others).double()
    variance = pairs.mean(dim=1).var() / len(here) + pairs.mean(dim=0).var() / len(others)
    assert float(errors.square().sum()) == pytest.approx(float(variance), rel=1e-9)


def test_an_area_that_cannot_be_told_is_none_and_a_perfect_one_has_no_interval() -> None:
    assert math.isnan(roc_auc(torch.ones(3), torch.rand(3))[0])
    found = ranking(
        torch.tensor([0, 0, 1, 1]), torch.tensor([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0, 1.0, 0]])
    )
    assert [share.value for share in found.roc_auc] == [1.0, 1.0, None]
    assert (found.roc_auc[0].low, found.average_precision[2].value) == (None, None)
    assert found.macro_roc_auc.value == 1.0
    lost = ranking(torch.tensor([0, 1]), torch.full((2, 2), torch.nan))
    assert lost.macro_roc_auc.value is None
    assert lost.macro_average_precision.value is None


def test_each_class_and_their_mean_are_those_of_scikit_learn() -> None:
    labels, p = of_classes()
    found, several = ranking(labels, p), ranking(torch.eye(4)[labels], p)
    assert found == several
    one_hot = torch.eye(4)[labels].numpy()
    for c in range(4):
        assert found.roc_auc[c].value == pytest.approx(metrics.roc_auc_score(one_hot[:, c], p[:, c]))
        assert found.average_precision[c].value == pytest.approx(
            metrics.average_precision_score(one_hot[:, c], p[:, c])
        )
    assert found.macro_roc_auc.value == pytest.approx(
        metrics.roc_auc_score(labels, p.double() / p.double().sum(1, keepdim=True), multi_class="ovr")
    )
    assert found.macro_average_precision.value == pytest.approx(metrics.average_precision_score(one_hot, p.numpy()))


def test_intervals_are_as_wide_as_the_numbers_vary_over_images_drawn_anew() -> None:
    drawn = []
    for seed in range(400):
        labels, p = scores(300, seed=seed, digits=6)
        found = ranking(labels[:, None], p[:, None])
        drawn.append((found.roc_auc[0], found.average_precision[0], found.macro_average_precision))
    for which in range(3):
        shares = [row[which] for row in drawn]
        truth = float(np.mean([share.value for share in shares]))
        inside = [
            share.low < truth < share.high for share in shares if share.low is not None and share.high is not None
        ]
        assert len(inside) == 400
        assert 0.90 <= np.mean(inside) <= 0.985, which  # 95 %, give or take what 400 trials and an approximation do


def test_the_curve_is_that_of_scikit_learn() -> None:
    labels, p = scores()
    found = curve(labels, p)
    false, right, thresholds = metrics.roc_curve(labels, p.double(), drop_intermediate=False)
    assert found.sensitivity.numpy() == pytest.approx(right[1:])
    assert 1 - found.specificity.numpy() == pytest.approx(false[1:])
    assert found.thresholds.numpy() == pytest.approx(thresholds[1:])
    precision, _, _ = metrics.precision_recall_curve(labels, p.double())
    assert found.precision.numpy()[::-1] == pytest.approx(precision[: len(found.precision)])


def test_a_threshold_is_judged_on_images_that_it_was_not_chosen_on() -> None:
    # In one half, yes is from 0.6 on; in the other all probabilities are 0.4 lower.
    one, _ = halves_of(10)[0]
    labels, p = torch.zeros(10), torch.zeros(10)
    labels[one], p[one] = torch.tensor([0, 1, 0, 1, 0.0]), torch.tensor([0.5, 0.7, 0.4, 0.8, 0.5])
    labels[~one], p[~one] = torch.tensor([0, 1, 0, 1, 0.0]), torch.tensor([0.1, 0.3, 0.0, 0.4, 0.1])
    found = chosen_threshold(labels, p)
    # The first are told apart at (0.7 + 0.5) / 2, the others at (0.3 + 0.1) / 2. The first, judged at 0.2, are all
    # found and none is left out; of the others, judged at 0.6, none is found and all are left out.
    assert (found.sensitivity.value, found.specificity.value) == (2 / 4, 3 / 6)
    assert chosen_threshold(labels[one], p[one]).threshold == pytest.approx(0.6)
    assert chosen_threshold(torch.zeros(4), torch.rand(4)).sensitivity.value is None


def test_what_is_right_among_the_surest_is_counted_on_the_other_half() -> None:
    generator = torch.Generator().manual_seed(3)
    sure = torch.rand(2000, generator=generator)
    right = torch.rand(2000, generator=generator) < sure  # calibrated
    rows = coverage_curve(sure, right)
    assert rows[0]["coverage"] == 1
    assert rows[0]["accuracy"] == pytest.approx(float(right.double().mean()))
    for row in rows[1:]:
        assert row["coverage"] == pytest.approx(1 - float(row["threshold"] or 0), abs=0.03)
        expected = (1 + float(row["threshold"] or 0)) / 2
        assert float(row["low"] or 0) - 0.01 < expected < float(row["high"] or 1) + 0.01
    halves = [(sure[chosen], sure[judged], right[judged]) for chosen, judged in halves_of(2000)]
    kept = [hit[judged >= chosen.double().sort().values[100]] for chosen, judged, hit in halves]
    assert rows[4]["accuracy"] == pytest.approx(float(torch.cat(kept).double().mean()))
    assert coverage_curve(torch.full((4,), torch.nan), torch.zeros(4, dtype=torch.bool))[0]["accuracy"] is None


def test_halves_are_drawn_once_and_are_as_large_as_each_other() -> None:
    for images in (0, 1, 7, 1000):
        (one, other), (again, _) = halves_of(images)
        assert torch.equal(one, ~other)
        assert torch.equal(again, other)
        assert int(one.sum()) - int(other.sum()) in (0, 1)
        assert torch.equal(halves_of(images)[0][0], one)
    alternating = torch.arange(1000) % 2
    assert 200 < int(alternating[halves_of(1000)[0][0]].sum()) < 300


def test_what_is_rejected_by_a_given_threshold() -> None:
    found = rejection(torch.tensor([0.9, 0.5, 0.6, 0.2]), torch.tensor([True, False, False, True]), 0.6)
    assert (found["images"], found["share"]["value"]) == (2, 0.5)
    assert (found["accuracy_of_others"]["value"], found["accuracy_of_rejected"]["value"]) == (0.5, 0.5)


def test_the_lowest_expected_cost_decides_otherwise_where_a_mistake_is_dear() -> None:
    matrix = cost_matrix({"sick": {"well": 10}}, ["sick", "well"], "costs")
    assert matrix.tolist() == [[0, 10], [1, 0]]
    labels, p = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8], [0.05, 0.95]])
    # Of "well" the expected cost is 10 p(sick), of "sick" it is p(well): the third is called sick too.
    found = cost_figures(labels, p, matrix)
    assert found["most_probable"]["value"] == 10 / 4
    assert found["lowest_cost"]["value"] == 1 / 4
    assert (found["difference"]["value"], found["changed"]) == (-9 / 4, 2)
    assert cost_matrix({1: {7: 20}}, ["1", "7"], "costs").tolist() == [[0, 20], [1, 0]]  # type: ignore[dict-item]
    with pytest.raises(UserError, match="sick taken for sick is right, and costs nothing"):
        cost_matrix({"sick": {"sick": 2}}, ["sick", "well"], "costs")
    with pytest.raises(UserError, match="there is no class 'zz'"):
        cost_matrix({"zz": {}}, ["sick", "well"], "costs")
    alone = cost_figures(labels[:1], p[:1], matrix)["most_probable"]
    assert alone == {"value": 10.0, "low": None, "high": None}
    with pytest.raises(UserError, match="costs: there is no class 'sik'; did you mean sick"):
        cost_matrix({"sik": {"well": 10}}, ["sick", "well"], "costs")
    with pytest.raises(UserError, match="-1 for sick taken for well is not a number >= 0"):
        cost_matrix({"sick": {"well": -1}}, ["sick", "well"], "costs")


@pytest.mark.filterwarnings("ignore:.*y_pr")  # of scikit-learn, of what is meant here
@pytest.mark.parametrize("name", list(FURTHER_METRICS))
def test_further_metrics_are_those_of_scikit_learn_whatever_the_batches(name: str) -> None:
    labels, p = of_classes()
    p = torch.cat([p * 0.98, torch.full((len(p), 1), 0.02)], dim=1)  # a class without images
    p[0] = torch.tensor([0.0, 0.1, 0.1, 0.1, 0.7])  # that one is taken for
    metric = FURTHER_METRICS[name](5)
    for start in range(0, len(labels), 64):
        metric.update(p[start : start + 64], labels[start : start + 64])
    one_hot, known = torch.eye(5)[labels].numpy(), p[:, :4].double()
    expected = {
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(labels, p.argmax(dim=1)),
        "roc_auc": lambda: np.mean([metrics.roc_auc_score(one_hot[:, c], known[:, c]) for c in range(4)]),
        "average_precision": lambda: metrics.average_precision_score(one_hot[:, :4], known),
        "log_loss": lambda: metrics.log_loss(labels, p.double(), labels=range(5)),
    }[name]()
    assert float(metric.compute()) == pytest.approx(float(expected), rel=1e-5)
    metric.reset()
    metric.update(p[:50], labels[:50])
    assert float(metric.compute()) != pytest.approx(float(expected), rel=1e-9)
