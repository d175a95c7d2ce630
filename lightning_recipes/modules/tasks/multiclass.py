"""One class an image: softmax, accuracy."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lightning_recipes.evaluation.mean_probabilities import log_mean_probabilities
from lightning_recipes.evaluation.metrics import classification_metrics

__all__ = ["Multiclass"]


class Multiclass:
    """One class an image: labels (N,) int64, probabilities that add up to one. A :class:`~.task.Task`."""

    name = "multiclass"
    fewest_classes = 2
    best_metric: tuple[str, Literal["max", "min"]] = ("val_accuracy", "max")
    training_metric_name = "accuracy"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the softmax."""
        return logits.float().softmax(dim=1)

    def mean_logits(self, members: Sequence[Tensor]) -> Tensor:
        """Return the logarithm of the mean probabilities."""
        return log_mean_probabilities(members)

    def loss_weight(self, labels: Tensor, class_weights: Tensor | None) -> Tensor | float:
        """Return the sum of the images' class weights."""
        return len(labels) if class_weights is None else class_weights[labels].sum()

    def metrics(self, num_classes: int, prefix: str) -> MetricCollection:
        """Return accuracy, top-5 accuracy (from six classes on), macro F1 and expected calibration error."""
        return classification_metrics(num_classes, prefix)

    def training_metric(self, num_classes: int) -> Metric:
        """Return the accuracy."""
        return MulticlassAccuracy(num_classes, average="micro", validate_args=False)
