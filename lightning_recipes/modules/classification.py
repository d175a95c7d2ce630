"""Modules that learn labels: logits, a loss on them, metrics; whatever the network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import override

from lightning_recipes.compat.lightning import trainer_of
from lightning_recipes.components import import_path
from lightning_recipes.data.batch import MixedBatch
from lightning_recipes.errors import UserError, did_you_mean, refuse_bad_values
from lightning_recipes.input_config import InputConfig
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.staged import StagedModule
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.modules.tasks import Task, create_task
from lightning_recipes.stages.plan import Stage

__all__ = ["ClassificationModule", "refuse_other_classes"]


class ClassificationModule(Evaluator, StagedModule):
    """A staged module that learns to tell classes apart; a subclass gives its network, ``layer_groups`` and ``loss``.

    A batch is (images, labels, ...): images (N, 3, H, W) normalised, labels (N,) int64, or (N, C) of 0 and 1 with
    several labels an image.

    Args:
        num_classes: C, >= 2; >= 1 with several labels an image.
        class_names: Names of the classes.
        task: ``multiclass``: one class an image; ``multilabel``: any number of them; or the import path of a task.
        metrics: Names of further metrics, of the task's ``further_metrics``.
        reject_below: Probability below which a picture is none of the classes, in (0, 1].
        optimization: As of :class:`~lightning_recipes.modules.planned.PlannedModule`.

    Attributes:
        loss: Called with logits (N, C) and labels.
        task: What labels are, and how logits become probabilities and metrics.
    """

    loss: nn.Module

    def __init__(
        self,
        num_classes: int,
        *,
        class_names: list[str] | None = None,
        task: str = "multiclass",
        metrics: Sequence[str] | str | None = None,
        reject_below: float | None = None,
        **optimization: Any,
    ) -> None:
        super().__init__(**optimization)
        self.task: Task = create_task(task)
        named = [metrics] if isinstance(metrics, str) else metrics or ()
        self.further_metrics, self.reject_below = tuple(dict.fromkeys(named)), reject_below
        _refuse_other_metrics(self.further_metrics, self.task)
        _refuse_rejection(reject_below, self.task)
        fewest = self.task.fewest_classes
        refuse_bad_values("model", ("num_classes", num_classes, num_classes >= fewest, f"a number >= {fewest}"))
        self.num_classes, self.class_names = num_classes, class_names
        self.add_metrics()
        self.train_accuracy: Metric = self.task.training_metric(num_classes)

    @property
    @override
    def best_metric(self) -> tuple[str, str]:
        return self.task.best_metric

    # What a subclass may want to be otherwise.

    @override
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch; here of its first member."""
        logits: Tensor = self(batch[0])
        return logits

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        loss: Tensor = self.loss(logits, labels)
        return loss

    @override
    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what a batch counts in the mean over a set: the sum of its images' class weights."""
        weights = getattr(self.loss, "class_weights", None)
        if weights is not None:
            weights = torch.as_tensor(weights, device=labels.device)  # a loss of one's own may keep a list
        return self.task.loss_weight(labels, weights)

    @override
    def training_loss(self, batch: Any, key: StepKey) -> Mapping[str, Any]:
        """Return ``loss``, and ``logits`` and ``labels`` to be counted.

        A mixed batch has the loss of both its labels, each by its share (Zhang et al. 2018, "mixup", section 2), and
        counts as the larger share's class.
        """
        logits, labels = self.logits_of(batch), batch[1]
        loss = self.compute_loss(logits, labels)
        if isinstance(batch, MixedBatch):
            loss = batch.share * loss + (1 - batch.share) * self.compute_loss(logits, batch.partners)
            labels = labels if batch.share >= 0.5 else batch.partners
        return {"loss": loss, "logits": logits, "labels": labels}

    @override
    def count_training(self, batch: Any, output: Mapping[str, Any]) -> None:
        """Count loss and training metric."""
        super().count_training(batch, output)
        self.train_accuracy.update(output["logits"].detach(), output["labels"])

    @override
    def training_metrics(self) -> dict[str, Any]:
        """Return the training loss and the task's training metric."""
        return {**super().training_metrics(), f"train_{self.task.training_metric_name}": self.train_accuracy}

    # What makes a checkpoint a finished model.

    @override
    def setup(self, stage: str) -> None:
        """As of any staged module; in a fit the weights are of the images that it trains on.

        Raises:
            UserError: An image of the data may have several labels and one of the module's task not, or the other way.
        """
        data = self.image_data()
        if data is not None and data.several_labels != self.task.several_labels and stage != "predict":
            labels = "several labels" if data.several_labels else "one label"
            raise UserError(
                f"data.task: images have {labels} each, and model.task is {self.task.name}; give both the same task"
            )
        super().setup(stage)
        if stage == "fit":
            self.judged_input = self.input_used

    @override
    def apply_stage(self, stage: Stage) -> None:
        """As of any staged module; from now on the weights are those of this stage's images."""
        super().apply_stage(stage)
        self.judged_input = self.input_used

    @override
    def finished_model(self) -> dict[str, Any]:
        """Return what a file needs beside the weights to be a usable model: see :mod:`lightning_recipes.modules.load`.

        Data that fits JSON where the arguments of a subclass do.
        """
        return {
            **super().finished_model(),
            "task": self.task.name,
            "input_config": asdict(self.input_used),
            "pretrained_input_config": asdict(self.input_config),
        }

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint a finished model, and name the data that it was judged on."""
        super().on_save_checkpoint(checkpoint)
        data = getattr(self.trainer, "datamodule", None)
        checkpoint["data_class_path"] = None if data is None else import_path(type(data))

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes, and take over what its weights expect of their images."""
        saved = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        theirs = saved.get("num_classes", self.num_classes), saved.get("class_names")
        refuse_other_classes(*theirs, num_classes=self.num_classes, class_names=self.class_names)
        fitting = trainer_of(self) is not None and self.trainer.state.fn == "fit"
        if "input_config" in checkpoint:
            used = InputConfig.of(checkpoint["input_config"])
            self.input_config = InputConfig.of(checkpoint.get("pretrained_input_config", checkpoint["input_config"]))
            self.judged_input = self.input_used if fitting else used
        super().on_load_checkpoint(checkpoint)


def _refuse_other_metrics(names: Sequence[str], task: Task) -> None:
    for name in names:
        if name not in task.further_metrics:
            known = ", ".join(task.further_metrics)
            raise UserError(f"model.metrics: '{name}' is not one of {known}{did_you_mean(name, task.further_metrics)}")


def _refuse_rejection(reject_below: float | None, task: Task) -> None:
    if reject_below is None:
        return
    if task.several_labels:
        raise UserError("model.reject_below: with several labels an image may have none anyway; leave it out")
    refuse_bad_values("model", ("reject_below", reject_below, 0 < reject_below <= 1, "a probability in (0, 1]"))


def refuse_other_classes(
    saved: int, saved_names: Sequence[str] | None, *, num_classes: int, class_names: Sequence[str] | None
) -> None:
    """Refuse a checkpoint of other classes than the data has.

    Args:
        saved: How many classes the checkpoint tells apart.
        saved_names: Their names; None where it knows none, and then their number decides.
        num_classes: Of the data.
        class_names: Likewise.

    Raises:
        UserError: They differ.
    """
    if saved != num_classes:
        raise UserError(
            f"ckpt_path: the checkpoint has {saved} classes, the data has {num_classes}; use the data it was made for"
        )
    if saved_names and class_names and list(saved_names) != list(class_names):
        theirs, ours = list(saved_names)[:5], list(class_names)[:5]
        raise UserError(f"ckpt_path: the checkpoint's classes {theirs} are not the data's {ours}")
