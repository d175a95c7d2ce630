"""Modules that train by a plan of stages, whatever they learn: they know no labels."""

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.compat.lightning import ADDED_BY_LIGHTNING, trainer_of
from lightning_recipes.components import import_path
from lightning_recipes.data.batch import batch_length
from lightning_recipes.errors import UserError, first_few
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.modules.kept_arguments import cannot_be_kept, plain
from lightning_recipes.modules.keyed_steps import KeyedSteps
from lightning_recipes.modules.planned import PlannedModule
from lightning_recipes.modules.step_additions import StepAdditions, StepKey
from lightning_recipes.modules.training_step import training_step
from lightning_recipes.randomness import seed_process

__all__ = ["StagedModule"]


class StagedModule(KeyedSteps, PlannedModule):
    """A module that trains by a plan of stages; what a batch is, and what is learned from it, is the subclass's.

    A subclass gives ``layer_groups`` and :meth:`training_loss`. Stages, the learning rate finder, averages, clipping,
    snapshots and resuming ask for no more. Arguments are those of
    :class:`~lightning_recipes.modules.planned.PlannedModule`.

    Attributes:
        additions: What callbacks add to each step and to validation.
        backwards_left: Backward passes of the step under way that are not done.
        one_loss: Whether there is one loss that all weights lower. False: of adversaries, whose sum says nothing.
        lowest_loss: What the training loss can fall to: how far it falls and rises is measured from there.
        fits_head: Whether the head is no part of the training, but fitted in each validation to the weights there.
    """

    one_loss: bool = True
    lowest_loss: float = 0.0
    fits_head: bool = False

    def __init__(self, **optimization: Any) -> None:
        super().__init__(**optimization)
        self.additions = StepAdditions()
        self.backwards_left = 0
        self.train_loss, self.val_loss = loss_mean(), loss_mean()

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Leave out what callbacks have added: a copy is a module of its own."""
        return {**super().__getstate__(), "additions": StepAdditions()}

    # What a subclass gives.

    @property
    def best_metric(self) -> tuple[str, str]:
        """Name of the metric that decides which epoch is best, and ``max`` or ``min``."""
        return "val_loss", "min"

    @abstractmethod
    def training_loss(self, batch: Any, key: StepKey) -> Tensor | Mapping[str, Any]:
        """Return the mean loss over a batch, a scalar; or a mapping of it, ``loss``, and what is to be counted.

        Args:
            batch: As :meth:`transform_batch` gives it, or a part of it.
            key: Of the step; who draws makes a generator of it
                (:func:`~lightning_recipes.randomness.generator_for`). The global generators are seeded by it.
        """

    def count_training(self, batch: Any, output: Mapping[str, Any]) -> None:
        """Count what a step has seen, once a batch; add metrics of one's own here.

        Args:
            batch: That of :meth:`training_loss`.
            output: What it returned; at least ``loss``.
        """
        self.train_loss.update(output["loss"].detach(), weight=batch_length(batch))

    # A training step.

    def transform_batch(self, batch: Any, batch_idx: int) -> Any:
        """Return a batch as it is trained on, such as mixed; a ``training_step`` of one's own begins with it."""
        key = self.step_key(batch_idx)
        for transform in self.additions.batch_transforms.values():
            batch = transform(batch, key)
        return batch

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss; logs it as ``train_loss_step``, and the epoch's mean as ``train_loss``."""
        return training_step(self, batch, batch_idx)

    @override
    def on_after_backward(self) -> None:
        """Count the backward passes of the step."""
        self.backwards_left = max(0, self.backwards_left - 1)

    @override
    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Forget the gradients of the last step, unless this step's first parts are in them."""
        if self.additions.micro_batches == 1:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def training_metrics(self) -> dict[str, Any]:
        """Return what the epoch's steps add up, by the name that it is logged under."""
        return {"train_loss": self.train_loss}

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log at the last batch what the steps added up.

        Logging a metric at every step would cost more than a step of a head, and at the end of the epoch it would come
        after the callbacks have looked.
        """
        if self.trainer.is_last_batch and self.train_loss.update_called:  # a subclass may have a step of its own
            self.log_dict(self.training_metrics(), on_step=False, on_epoch=True)

    # Validation.

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """Log the mean of :meth:`training_loss` over the validation set as ``val_loss``."""
        key: StepKey = ("validation", batch_idx, self.global_rank)
        with isolate_rng():
            seed_process(*key)
            output, images = self.training_loss(batch, key), batch_length(batch)
        self.val_loss.update(output["loss"] if isinstance(output, Mapping) else output, weight=images)
        self.log("val_loss", self.val_loss, prog_bar=True, batch_size=images)
        return output

    def evaluated_weights(self, averaged: bool = True) -> AbstractContextManager[None]:
        """Have inside what validation sees: the averaged weights where there are any, whatever is in now.

        Args:
            averaged: False has the trained weights inside, also within a validation.
        """
        weights = self.additions.averaged
        return nullcontext() if weights is None else weights.inside(self, averaged=averaged)

    @override
    def freeze_to(self, trainable: int) -> None:
        """As of any planned module; a layer that freezes is one from then on, averaged and trained.

        Features that are computed of a frozen backbone are then those of the backbone that is judged.
        """
        trained = {id(parameter) for parameter in self.parameters() if parameter.requires_grad}
        super().freeze_to(trainable)
        if self.additions.averaged is not None:
            frozen = self.layer_groups[: len(self.layer_groups) - trainable]
            froze = [group for group in frozen if trained & {id(parameter) for _, parameter in group.parameters}]
            self.additions.averaged.settle(self, [tensor for group in froze for tensor in group.tensors])

    def replace_weights(self, state: dict[str, Tensor]) -> None:
        """Take weights and statistics of another moment, for training and for whatever stands in for it."""
        self.load_state_dict(state)
        if self.additions.averaged is not None:
            self.additions.averaged.take(self)

    # Checkpoints.

    def finished_model(self) -> dict[str, Any]:
        """Return what a file needs beside the weights to be used: the class and its arguments."""
        arguments = {name: plain(value) for name, value in self.hparams.items() if name not in ADDED_BY_LIGHTNING}
        return {"class_path": import_path(type(self)), "hyper_parameters": arguments}

    @override
    def setup(self, stage: str) -> None:
        """Forget what an earlier fit without a plan has changed; refuse what would be lost.

        Raises:
            UserError: A checkpoint could not give an argument back, or a parameter is in no layer group.
        """
        if stage != "fit":
            return
        if self.plan is None:
            self.plan_changes, self.stage_epochs = [], []
        if outside := self._in_no_group():
            raise UserError(
                f"model: no layer group has {first_few(outside)}, so nothing would train it; add it to one, or say "
                "requires_grad_(False)"
            )
        arguments = self.finished_model()["hyper_parameters"]
        if self.trainer.checkpoint_callbacks and (lost := cannot_be_kept(arguments)):
            raise UserError(
                f"model.{lost[0]}: a {type(arguments[lost[0]]).__name__} cannot be read back from a checkpoint; give "
                "plain values, or make it in the class and not by an argument"
            )

    def _in_no_group(self) -> list[str]:
        """Names of parameters that ask for a gradient and that the optimizer does not know."""
        known = {id(parameter) for group in self.layer_groups for _, parameter in group.parameters}
        return [name for name, one in self.named_parameters() if one.requires_grad and id(one) not in known]

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint a finished model, with what its validation logged."""
        known, finished = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {}), self.finished_model()
        finished[self.CHECKPOINT_HYPER_PARAMS_KEY] = {**known, **finished["hyper_parameters"]}
        checkpoint |= finished
        checkpoint["metrics"] = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint["plan_changes"] = self.plan_changes
        checkpoint["stage_epochs"] = self.stage_epochs
        weights = self.additions.averaged
        # A file of weights alone has those to be used.
        if "optimizer_states" not in checkpoint and weights is not None and not weights.are_in:
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **weights.tensors}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Change the plan as it was changed in the run that goes on."""
        if trainer_of(self) is not None and self.trainer.state.fn == "fit":
            self.apply_plan_changes(checkpoint.get("plan_changes", []))
