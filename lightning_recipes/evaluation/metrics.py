"""The figures of merit that every classifier reports, as torchmetrics: reset and synchronised by Lightning."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from typing_extensions import override

from lightning_recipes.evaluation.calibration import BINS, bin_sums, error_of_sums

__all__ = ["CalibrationError", "classification_metrics", "loss_mean"]


HALF = (torch.float16, torch.bfloat16)


class CalibrationError(Metric):
    """The expected calibration error of :mod:`lightning_recipes.evaluation.calibration`, batch by batch.

    The same number to the last digit, whatever the batches and the processes: only whole numbers are added up.

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks".
    """

    is_differentiable, higher_is_better, full_state_update = False, False, False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(3, BINS + 1, dtype=torch.int64), dist_reduce_fx="sum")

    @override
    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Count a batch: probabilities (N, C) and labels (N,)."""
        self.sums += bin_sums(labels, probabilities)

    @override
    def compute(self) -> Tensor:
        """Return the error, a scalar; nan of no images."""
        kind = torch.float32 if self.device.type == "mps" else torch.float64  # which Apple's devices have none of
        return torch.tensor(error_of_sums(self.sums), dtype=kind, device=self.device)


def classification_metrics(num_classes: int, prefix: str) -> MetricCollection:
    """Return accuracy, top-5 accuracy (from six classes on), macro F1 and expected calibration error.

    All take probabilities (N, C) and labels (N,); all are shares in [0, 1].

    Args:
        num_classes: C.
        prefix: Put before each name, such as ``val_``.
    """
    metrics: dict[str, Metric] = {
        "accuracy": MulticlassAccuracy(num_classes, average="micro"),
        "f1": MulticlassF1Score(num_classes, average="macro"),
        "ece": CalibrationError(),
    }
    if num_classes > 5:
        metrics["top5_accuracy"] = MulticlassAccuracy(num_classes, average="micro", top_k=5)
    # Sharing states between them would save little and makes a user's added metric a trap.
    return MetricCollection(metrics, prefix=prefix, compute_groups=False)  # type: ignore[arg-type]


class LossMean(MeanMetric):
    """A weighted mean that is no number where one of its values is none.

    ``MeanMetric`` leaves such values out, so that a training that diverges within an epoch would show a good loss; told
    not to, it leaves out the weights (torchmetrics 1.9). Where all of a module is of half precision its sums stay in
    float32: in half precision a sum of some hundred batches stands still.
    """

    @override
    def update(self, value: float | Tensor, weight: float | Tensor | None = None) -> None:
        """Add a value, or several, with the weight of each (default: 1)."""
        if self.dtype in HALF:
            self.set_dtype(torch.float32)
        values = torch.as_tensor(value, dtype=self.dtype, device=self.device)
        given = 1.0 if weight is None else weight
        if not isinstance(given, Tensor):  # one that is made where the values are: a copy from the CPU waits for a GPU
            given = values.new_full((), given)
        weights = given.to(self.device, self.dtype).broadcast_to(values.shape)
        self.mean_value += (values * weights).sum()
        self.weight += weights.sum()


def loss_mean() -> MeanMetric:
    """Return a mean over images that is exact on any number of processes.

    ``self.log(..., sync_dist=True)`` is not: it averages the ranks' batch counts with truncation.
    """
    return LossMean()
