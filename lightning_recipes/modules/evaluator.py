"""What validation, test and prediction do, for a single classifier and for an ensemble of them alike."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import override

from lightning_recipes.compat.lightning import trainer_of
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.data.pictures import Pictures, as_pictures, images_of
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.input_config import IMAGENET_INPUT, InputConfig
from lightning_recipes.modules.tasks import Task

__all__ = ["Evaluator"]


class Evaluator(pl.LightningModule):
    """A module that gives class probabilities, and what Lightning calls to judge them.

    A batch is (images, labels, indices): images (N, 3, H, W) normalised, labels (N,) int64, indices (N,) int64.

    Attributes:
        num_classes: C.
        class_names: Names of the classes, or None.
        task: What labels are, and how logits become probabilities.
        input_config: What images the weights were made for (default: ImageNet's values at 224 px).
        judged_input: How pictures became inputs where the weights were judged; None before any training.
        further_metrics: Names of metrics besides those that the task always has.
        reject_below: Probability below which a picture is none of the classes; None: never.
    """

    num_classes: int
    class_names: list[str] | None
    task: Task
    input_config: InputConfig = IMAGENET_INPUT
    judged_input: InputConfig | None = None
    further_metrics: tuple[str, ...] = ()
    reject_below: float | None = None

    def add_metrics(self) -> None:
        """Make the metrics; to be called once ``num_classes`` is known."""
        self.val_loss, self.test_loss = loss_mean(), loss_mean()
        self.val_metrics, self.test_metrics = self.configure_metrics("val_"), self.configure_metrics("test_")

    def configure_metrics(self, prefix: str) -> MetricCollection:
        """Return what evaluation reports, from probabilities (N, C) and labels (N,); names open with ``prefix``."""
        metrics = self.task.metrics(self.num_classes, prefix)
        metrics.add_metrics({name: self.task.further_metrics[name](self.num_classes) for name in self.further_metrics})
        return metrics

    @abstractmethod
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch."""

    @abstractmethod
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""

    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what the loss of a batch with these labels (N,) counts in the mean over all images."""
        return len(labels)

    @property
    def input_judged(self) -> InputConfig:
        """How a picture becomes an input where the weights were judged, else as it is used now."""
        return self.judged_input or self.input_used

    @property
    def input_used(self) -> InputConfig:
        """How a picture becomes an input now: in the current stage of a fit, else as the weights were judged."""
        data = self.image_data()
        return self.judged_input or self.input_config if data is None else data.input_config

    def predict(self, images: Pictures | Sequence[Pictures], *, batch_size: int = 32) -> list[Prediction]:
        """Return what the model takes pictures for, one prediction a picture.

        Nothing else is needed: size, crop and normalisation are those that the weights were judged with.

        Args:
            images: A path, the bytes of a file, a PIL image, an array (H, W, 3) of uint8 in RGB, or a list or array of
                them, mixed as they come.
            batch_size: Pictures that are taken at once.

        Raises:
            UserError: A file or bytes are no picture, or an array no image.
        """
        pictures = as_pictures(images)
        parts = [pictures[i : i + batch_size] for i in range(0, len(pictures), batch_size)]
        was_training = self.training
        self.eval()
        try:
            probabilities = [self.probabilities_of(self.inputs_of(part)) for part in parts]
        finally:
            self.train(was_training)
        return [self.prediction(row) for part in probabilities for row in part]

    def prediction(self, probabilities: Tensor) -> Prediction:
        """Return what is said of one image, from its probabilities (C,), on the CPU.

        No label where it is rejected, or a probability is no number.
        """
        names = self.class_names or [str(label) for label in range(self.num_classes)]
        found = self.task.prediction(probabilities, names)
        said = found.probability >= (self.reject_below or 0)  # not of nan
        return found if said else replace(found, label="")

    def inputs_of(self, pictures: Sequence[Pictures]) -> list[Tensor]:
        """Return images (N, 3, H, W) on the CPU, as the weights were judged with.

        One tensor; of an ensemble one for each input that a member was judged with. Those of several calls can be
        joined along their first dimension.

        Args:
            pictures: Single ones.

        Raises:
            UserError: As of :meth:`predict`.
        """
        return [images_of(pictures, self.input_judged)]

    @torch.inference_mode()
    def probabilities_of(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return probabilities (N, C), float32 on the CPU, of what :meth:`inputs_of` gave; in eval mode."""
        logits: Tensor = self(inputs[0].to(self.device))
        return self.task.probabilities(logits).cpu()

    def image_data(self) -> ImageDataModule | None:
        """Return the data module of the run, where it is one of ours."""
        return image_data_of(trainer_of(self))

    @property
    def split(self) -> Literal["val", "test", "predict"]:
        """Whose images the trainer goes over now."""
        during = self.trainer.state.fn
        return "test" if during == "test" else "predict" if during == "predict" else "val"

    def _evaluate(self, batch: Any, loss: MeanMetric, metrics: MetricCollection, prefix: str) -> dict[str, Tensor]:
        logits, labels = self.logits_of(batch), batch[1]
        probabilities = self.task.probabilities(logits)
        loss.update(self.compute_loss(logits, labels), weight=self.loss_weight(labels))
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
        """Return ``probabilities`` (N, C), predicted ``labels``, and ``paths`` and ``indices`` or None."""
        logits = self.logits_of(batch) if isinstance(batch, (tuple, list)) else self(batch)
        probabilities = self.task.probabilities(logits)
        names, data = self.class_names, self.image_data()
        predicted = self.task.predicted(probabilities)
        return {
            "probabilities": probabilities,
            "labels": predicted.tolist() if names is None else [self.task.words(row, names) for row in predicted],
            "paths": None if data is None else [data.predict_source.paths[i] for i in batch[2].tolist()],
            "indices": batch[2] if isinstance(batch, (tuple, list)) and len(batch) > 2 else None,
        }
