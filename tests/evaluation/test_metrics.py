"""The mean of the losses: that of numpy, and no number as soon as one loss is none."""

import math

import numpy as np
import pytest
import torch

from lightning_recipes.evaluation.metrics import loss_mean


def test_the_mean_is_weighted_by_images() -> None:
    losses, images = [0.5, 2.0, 1.25], [64, 64, 7]
    mean = loss_mean()
    for loss, count in zip(losses, images, strict=True):
        mean.update(torch.tensor(loss), weight=count)
    assert float(mean.compute()) == pytest.approx(np.average(losses, weights=images), rel=1e-6)
    mean.reset()
    mean.update(torch.tensor([1.0, 3.0]), weight=torch.tensor([3.0, 1.0]))
    assert float(mean.compute()) == 1.5


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_a_module_of_half_precision_means_as_one_of_whole(half: torch.dtype) -> None:
    """A thousand batches: in half precision a sum would stand still, or be no number."""
    losses = np.random.default_rng(0).random(1000)
    mean = loss_mean()
    torch.nn.ModuleList([mean]).to(half)
    for _ in range(2):  # also after a reset
        mean.reset()
        for loss in losses:
            mean.update(torch.tensor(loss, dtype=torch.float32), weight=200)
        assert float(mean.compute()) == pytest.approx(losses.mean(), rel=1e-5)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_one_loss_that_is_no_number_is_not_left_out(loss: float) -> None:
    mean = loss_mean()
    for value in (0.5, loss, 0.4):
        mean.update(torch.tensor(value), weight=10)
    assert not math.isfinite(float(mean.compute()))
