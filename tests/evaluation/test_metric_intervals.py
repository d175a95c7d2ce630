"""Intervals of metrics, against those that can be reckoned."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.metric_intervals import loss_interval, metric_intervals
from lightning_recipes.evaluation.metrics import classification_metrics


def said(images: int, classes: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator) + 2.0 * F.one_hot(labels, classes)
    return logits.softmax(dim=1), labels


def test_an_accuracy_has_wilsons_interval() -> None:
    probabilities, labels = said(400)
    correct = int((probabilities.argmax(1) == labels).sum())
    found = metric_intervals(classification_metrics(7, "val_"), probabilities, labels)
    assert found["val_accuracy"] == wilson_interval(correct, 400)
    assert set(found) == {"val_accuracy", "val_f1", "val_ece", "val_top5_accuracy"}


def test_a_loss_has_that_of_a_mean() -> None:
    probabilities, labels = said(400)
    losses = F.cross_entropy(probabilities.log(), labels, reduction="none")
    half = 1.96 * float(losses.std()) / math.sqrt(400)
    interval = loss_interval(float(losses.mean()), F.cross_entropy, probabilities, labels)
    assert interval is not None
    assert interval[1] - float(losses.mean()) == pytest.approx(half, rel=0.2)
    assert float(losses.mean()) - interval[0] == pytest.approx(half, rel=0.2)


def test_four_times_the_images_halve_it() -> None:
    widths = []
    for images in (300, 1200):
        found = metric_intervals(classification_metrics(7, "val_"), *said(images))
        interval = found["val_f1"]
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths[0] / widths[1] == pytest.approx(2.0, rel=0.25)


def test_what_cannot_be_told_has_none() -> None:
    probabilities, labels = said(50)
    assert loss_interval(99.0, F.cross_entropy, probabilities, labels) is None  # of other logits
    sure = F.one_hot(labels, 7).float()
    assert metric_intervals(classification_metrics(7, ""), sure, labels)["f1"] is None  # 1 in every resample
