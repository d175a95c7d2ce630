"""What validation, test and prediction do, for a single classifier and for an ensemble of them alike."""

from abc import abstractmethod
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import override

from lightning_recipes.evaluation.metrics import classification_metrics, loss_mean

__all__ = ["Evaluator"]


class Evaluator(pl.LightningModule):
    """A module that gives class probabilities, and what Lightning calls to judge them.

    A batch is (images, labels, indices): images (N, 3, H, W) normalised, labels (N,) int64, indices (N,) int64.

    Attributes:
        num_classes: C.
        class_names: Names of the classes, or None.
    """

    num_classes: int
    class_names: list[str] | None

    def add_metrics(self) -> None:
        """Make the metrics; to be called once ``num_classes`` is known."""
        self.val_loss, self.test_loss = loss_mean(), loss_mean()
        self.val_metrics, self.test_metrics = self.configure_metrics("val_"), self.configure_metrics("test_")

    def configure_metrics(self, prefix: str) -> MetricCollection:
        """Return what evaluation reports, from probabilities (N, C) and labels (N,); names open with ``prefix``."""
        return classification_metrics(self.num_classes, prefix)

    @abstractmethod
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch."""

    @abstractmethod
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""

    def datamodule(self) -> Any:
        """Return the data module of the run, or None; what it offers is asked for by name, as it may be anyone's."""
        return getattr(self._trainer, "datamodule", None)

    def _evaluate(self, batch: Any, loss: MeanMetric, metrics: MetricCollection, prefix: str) -> dict[str, Tensor]:
        logits, labels = self.logits_of(batch), batch[1]
        probabilities = logits.float().softmax(dim=1)
        loss.update(self.compute_loss(logits, labels), weight=len(labels))
        metrics.update(probabilities, labels)
        self.log(f"{prefix}_loss", loss, prog_bar=True, batch_size=len(labels))
        self.log_dict(metrics, batch_size=len(labels))
        outputs = {"probabilities": probabilities, "labels": labels}
        return {**outputs, "indices": batch[2]} if len(batch) > 2 else outputs

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return ``probabilities`` (N, C), ``labels`` (N,) and ``indices`` (N,); logs the ``val_`` metrics."""
        return self._evaluate(batch, self.val_loss, self.val_metrics, "val")

    @override
    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return what :meth:`validation_step` returns; logs the ``test_`` metrics."""
        return self._evaluate(batch, self.test_loss, self.test_metrics, "test")

    @override
    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Return ``probabilities`` (N, C), predicted ``labels`` (names if known) and ``paths`` (None if unknown)."""
        logits = self.logits_of(batch) if isinstance(batch, (tuple, list)) else self(batch)
        probabilities = logits.float().softmax(dim=1)
        names, source = self.class_names, getattr(self.datamodule(), "predict_source", None)
        predicted = probabilities.argmax(dim=1).tolist()
        return {
            "probabilities": probabilities,
            "labels": predicted if names is None else [names[label] for label in predicted],
            "paths": None if source is None else [source.paths[i] for i in batch[2].tolist()],
        }
