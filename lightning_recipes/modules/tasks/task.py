"""What a task is: what labels are, how logits become probabilities, and which number tells better from worse."""

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor
from torchmetrics import Metric, MetricCollection

__all__ = ["Task"]


class Task(Protocol):
    """A task of classification; it keeps no state.

    Attributes:
        name: As a recipe gives it.
        fewest_classes: With fewer there is nothing to tell apart.
        best_metric: Name of the metric that decides which epoch is best, and ``max`` or ``min``.
        training_metric_name: What :meth:`training_metric` is logged as, after ``train_``.
    """

    name: str
    fewest_classes: int
    best_metric: tuple[str, Literal["max", "min"]]
    training_metric_name: str

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities (N, C), float32, of logits (N, C)."""
        ...

    def mean_logits(self, members: Sequence[Tensor]) -> Tensor:
        """Return the logits (N, C) of the mean of several members' probabilities, from the logits of each."""
        ...

    def loss_weight(self, labels: Tensor, class_weights: Tensor | None) -> Tensor | float:
        """Return what the loss of a batch with these labels counts in the mean over all images."""
        ...

    def metrics(self, num_classes: int, prefix: str) -> MetricCollection:
        """Return what evaluation reports, from probabilities (N, C) and labels; names open with ``prefix``."""
        ...

    def training_metric(self, num_classes: int) -> Metric:
        """Return what is counted while training, from logits (N, C) and labels."""
        ...
