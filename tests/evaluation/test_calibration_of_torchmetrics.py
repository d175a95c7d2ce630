"""Why the calibration error is not that of torchmetrics; where this fails, it may be by now."""

import torch
from torchmetrics.classification import MulticlassCalibrationError
from torchmetrics.functional.classification import multiclass_calibration_error

from lightning_recipes.evaluation.calibration import calibration_error
from lightning_recipes.evaluation.metrics import CalibrationError


def test_torchmetrics_has_the_bins_closed_below() -> None:
    labels, p = torch.tensor([0, 1]), torch.tensor([[0.55, 0.45], [0.6, 0.4]])  # 0.6 is an edge of five bins
    assert round(calibration_error(labels, p, bins=5), 4) == 0.075  # by hand, both in (0.4, 0.6]: |0.5 - 0.575|
    theirs = float(multiclass_calibration_error(p, labels, 2, n_bins=5))
    assert round(theirs, 4) == 0.525  # one in [0.4, 0.6), one in [0.6, 0.8): (0.45 + 0.6) / 2


def test_torchmetrics_has_a_bin_of_its_own_for_a_probability_of_one() -> None:
    labels, p = torch.tensor([1, 0]), torch.tensor([[1.0, 0.0], [0.95, 0.05]])
    assert round(calibration_error(labels, p), 4) == 0.475  # by hand, both in (14/15, 1]: |0.5 - 0.975|
    assert round(float(multiclass_calibration_error(p, labels, 2, n_bins=15)), 4) == 0.525  # (1 + 0.05) / 2


def test_torchmetrics_adds_up_in_the_order_of_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(10_000, 5, generator=generator).softmax(dim=1)
    labels = torch.randint(5, (10_000,), generator=generator)
    orders = [torch.arange(10_000), *(torch.randperm(10_000, generator=generator) for _ in range(3))]
    theirs, ours = set(), set()
    for order in orders:
        torchmetrics, exact = MulticlassCalibrationError(5, n_bins=15), CalibrationError()
        for rows in torch.split(order, 1000):
            torchmetrics.update(p[rows], labels[rows])
            exact.update(p[rows], labels[rows])
        theirs.add(float(torchmetrics.compute()))
        ours.add(float(exact.compute()))
    assert len(ours) == 1 < len(theirs)
