"""The figures of merit that every classifier reports, as torchmetrics: reset and synchronised by Lightning."""

from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score

__all__ = ["classification_metrics", "loss_mean"]

CALIBRATION_BINS = 15  # Guo et al. (2017), "On Calibration of Modern Neural Networks"


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
        "ece": MulticlassCalibrationError(num_classes, n_bins=CALIBRATION_BINS, norm="l1"),
    }
    if num_classes > 5:
        metrics["top5_accuracy"] = MulticlassAccuracy(num_classes, average="micro", top_k=5)
    # Sharing states between them would save little and makes a user's added metric a trap.
    return MetricCollection(metrics, prefix=prefix, compute_groups=False)  # type: ignore[arg-type]


def loss_mean() -> MeanMetric:
    """Return a mean over images that is exact on any number of processes.

    ``self.log(..., sync_dist=True)`` is not: it averages the ranks' batch counts with truncation.
    """
    return MeanMetric()
