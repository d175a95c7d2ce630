"""Metrics that are measured where they are asked for: each keeps more, or says less, than those that always are."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassRecall
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_recipes.evaluation.metrics import LossMean
from lightning_recipes.evaluation.multilabel import average_precision
from lightning_recipes.evaluation.ranking import mean_area, roc_auc

__all__ = ["FURTHER_METRICS", "AveragePrecision", "BalancedAccuracy", "LogLoss", "RocAuc"]

SMALLEST = 1e-12  # a probability of zero has no logarithm


class BalancedAccuracy(MulticlassRecall):
    """Mean of the classes' recalls, over those that have images: scikit-learn's ``balanced_accuracy_score``.

    torchmetrics' own mean has a recall of 0 for a class without images that something was taken for.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average=None, validate_args=False)

    @override
    def compute(self) -> Tensor:
        """Return the mean, a scalar."""
        found, missed = dim_zero_cat(self.tp), dim_zero_cat(self.fn)
        return (found / (found + missed))[found + missed > 0].mean()


class _Ranked(Metric):
    """Keeps the probabilities of all images."""

    is_differentiable, higher_is_better, full_state_update = False, True, False
    probabilities: list[Tensor]
    labels: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("probabilities", "labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @override
    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Keep a batch: probabilities (N, C) and labels (N,), or (N, C) of 0 and 1."""
        self.probabilities.append(probabilities)
        self.labels.append(labels)

    def _mean(self, area: Callable[[Tensor, Tensor], float]) -> Tensor:
        labels, probabilities = dim_zero_cat(self.labels).cpu(), dim_zero_cat(self.probabilities).cpu()
        return torch.tensor(mean_area(labels, probabilities, area), device=self.device)


class RocAuc(_Ranked):
    """Area under the ROC curve, each class against the others, mean over the classes that have one."""

    @override
    def compute(self) -> Tensor:
        """Return the mean, a scalar."""
        return self._mean(lambda labels, p: roc_auc(labels, p)[0])


class AveragePrecision(_Ranked):
    """Average precision, each class against the others, mean over the classes that have one."""

    @override
    def compute(self) -> Tensor:
        """Return the mean, a scalar."""
        return self._mean(lambda labels, p: float(average_precision(labels[:, None], p[:, None])[0]))


class LogLoss(LossMean):
    """Mean negative log likelihood, whatever the loss: scikit-learn's ``log_loss``; of several labels, their mean."""

    higher_is_better = False  # type: ignore[assignment]  # a mean of torchmetrics says neither

    def __init__(self, num_classes: int) -> None:
        super().__init__()

    @override
    def update(self, probabilities: Tensor, labels: Tensor) -> None:  # type: ignore[override]
        """Add a batch: probabilities (N, C) and labels (N,), or (N, C) of 0 and 1."""
        if labels.ndim == 2:
            right = torch.where(labels > 0, probabilities, 1 - probabilities)
        else:
            right = probabilities.gather(1, labels[:, None])
        super().update(-right.clamp_min(SMALLEST).log().mean(), weight=len(labels))


FURTHER_METRICS: Mapping[str, Callable[[int], Metric]] = {
    "balanced_accuracy": BalancedAccuracy,
    "roc_auc": RocAuc,
    "average_precision": AveragePrecision,
    "log_loss": LogLoss,
}
