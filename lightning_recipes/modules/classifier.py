"""The image classifier: a timm backbone, a head, one optimizer for a run. It knows no callback and no logger."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassAccuracy
from typing_extensions import override

from lightning_recipes.components import import_path
from lightning_recipes.data.batch import Batch, Features, MixedBatch, split_batch
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.averaging import copy_weights_, swap_weights_
from lightning_recipes.models.backbone import check_image_size, create_backbone
from lightning_recipes.models.dropout_order import dropout_before_norm
from lightning_recipes.models.groups import LayerGroup, layer_groups
from lightning_recipes.models.initialization import initialize_
from lightning_recipes.models.weights import Weights
from lightning_recipes.modules.kept_arguments import cannot_be_kept, plain
from lightning_recipes.modules.keyed_steps import KeyedSteps
from lightning_recipes.modules.staged import Staged
from lightning_recipes.optim.losses import create_loss
from lightning_recipes.schedules.resolve import resolve_schedule
from lightning_recipes.stages.plan import Plan, Stage

__all__ = ["ImageClassifier"]

log = logging.getLogger(__name__)

BYPASSED = ("forward", "logits_of", "on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
"""What a subclass may do to images between the loader and the head that stored features do not go through."""


class ImageClassifier(KeyedSteps, Staged):
    """Any timm backbone with a fresh head, ready for freeze-then-unfreeze transfer learning.

    Made to be subclassed: override :meth:`configure_head`, :meth:`configure_loss`, :meth:`configure_metrics`,
    :meth:`forward` or :meth:`compute_loss`; each does one thing.

    A batch is (images, labels, ...): images (N, 3, H, W) normalised, labels (N,) int64.

    Args:
        backbone: Name of a timm architecture, with or without a tag: ``resnet50``, ``resnet50.a1_in1k``.
        num_classes: Number of classes, >= 2 (on the command line: linked from the data).
        pretrained: ``true`` (timm's own weights), ``false``, a path to a ``.safetensors``, ``.pth`` or a run's
            ``.ckpt``, ``hf-hub:...``, or ``embedded:letters``. A classifier for other classes is dropped.
        backbone_kwargs: Arguments of the timm architecture, such as ``drop_path_rate``.
        image_size: Side of the images in pixels, for backbones that are built for one size (linked from the data).
        class_names: Names of the classes (linked from the data).
        class_counts: Training images of each class, for losses that weigh classes (linked from the data).
        lr: Base learning rate of the head, at the peak of the schedule.
        lr_decay: Factor between neighbouring layer groups, in (0, 1]: group g, counted from the head, trains at
            ``lr * lr_decay ** g``.
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments.
        schedule: Factor on all rates over a stage, with its arguments: ``constant``, ``cosine``, ``one_cycle`` and
            more.
        loss: On logits (N, C) and labels (N,), with its arguments: ``cross_entropy``, ``binary_cross_entropy``,
            ``focal``, ``soft_f1``, ``mean_squared_error``, or a module class by its path.
        dropout: Share of the features that the head does not see in a training step, in [0, 1) (Srivastava et al.
            2014).
        freeze_norm_stats: Keep the norm statistics of the backbone as pretrained, also where it trains.
        init: Initialisation of a backbone that is not pretrained: ``xavier``, ``kaiming`` or ``orthogonal`` (default:
            the architecture's own).
        activation: Activation of the backbone where it can be chosen: ``relu``, ``gelu``, ``silu`` or ``mish``
            (default: the architecture's own; pretrained weights expect theirs).
        channels_last: Keep images and weights with the channels last in memory, which convolutions are quicker on; the
            result is the same up to rounding.
        compile: Compile the backbone with ``torch.compile``, or a mapping of its arguments.

    Raises:
        UserError: The backbone, its weights or a value does not fit; the text names the key.

    Attributes:
        mixer: Takes a training batch and the step's key, which its draws are a function of, and gives a
            :class:`MixedBatch`; None mixes nothing.
        penalties: Scalars that are added to the loss of each training step, by name.
        averaged: Weights and statistics by their names in the state dict, that are validated and saved in place of
            those that train; None where there are none.
        micro_batches: Parts that a training batch is taken in, one after another, for less memory; >= 1.
        rehearsing: Steps are being taken that will leave no trace; callbacks that count what they see leave them out.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        pretrained: bool | str = True,
        backbone_kwargs: dict[str, Any] | None = None,
        image_size: int | None = None,
        class_names: list[str] | None = None,
        class_counts: list[int] | None = None,
        lr: float = 1e-3,
        lr_decay: float = 1.0,
        weight_decay: float = 0.01,
        optimizer: str | dict[str, Any] = "adamw",
        schedule: str | dict[str, Any] = "cosine",
        loss: str | dict[str, Any] = "cross_entropy",
        dropout: float = 0.0,
        freeze_norm_stats: bool = False,
        init: str | None = None,
        activation: str | None = None,
        channels_last: bool = False,
        compile: bool | dict[str, Any] = False,  # noqa: A002 - as torch calls it
    ) -> None:
        super().__init__()
        refuse_bad_values(
            "model",
            ("num_classes", num_classes, num_classes >= 2, "a number >= 2"),
            ("lr", lr, 0 <= lr < math.inf, "a learning rate >= 0"),
            ("lr_decay", lr_decay, 0 < lr_decay <= 1, "a factor in (0, 1]"),
            ("weight_decay", weight_decay, 0 <= weight_decay < math.inf, "a number >= 0"),
            ("dropout", dropout, 0 <= dropout < 1, "a share in [0, 1)"),
        )
        if init is not None and pretrained:
            raise UserError("model.init: pretrained weights would be lost; set model.pretrained: false as well")
        resolve_schedule("model.schedule", schedule)  # before the weights are read
        self.save_hyperparameters()
        self.num_classes, self.class_names = num_classes, class_names
        built = create_backbone(
            backbone,
            num_classes=num_classes,
            pretrained=pretrained,
            backbone_kwargs=backbone_kwargs,
            image_size=image_size,
            activation=activation,
        )
        self.backbone = built.features
        self.head = self.configure_head(built.head, built.num_features)
        if built.weights is not None and built.weights.head is not None:
            self._take_head(built.weights)
        self._backbone_arguments = built.arguments
        if init is not None:
            initialize_(self.backbone, init)
        self.dropout = nn.Dropout(dropout)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.input_config = built.input
        self.loss = self.configure_loss()
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.train_loss = loss_mean()
        self.add_metrics()
        self.mixer: Callable[[Any, tuple[str | int, ...]], Any] | None = None
        self.penalties: dict[str, Callable[[], Tensor]] = {}
        self.averaged: dict[str, Tensor] | None = None
        self._averaged_are_in = False
        self.rehearsing, self.micro_batches = False, 1

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Leave out what callbacks have put here: a copy is a module of its own."""
        left: dict[str, Any] = {
            "mixer": None,
            "penalties": {},
            "averaged": None,
            "_averaged_are_in": False,
            "micro_batches": 1,
        }
        return {**super().__getstate__(), **left}

    def _take_head(self, weights: Weights) -> None:
        """Take the head of a run for the same classes, whatever its shape; say what becomes of it otherwise.

        Names decide which classes they are; their number only where neither side has names.
        """
        assert weights.head is not None
        where, theirs, ours = f"model.pretrained: the head of '{weights.path}'", weights.class_names, self.class_names
        if weights.num_classes != self.num_classes or theirs != ours:
            known = f"{weights.num_classes} classes ({', '.join((theirs or ['no names'])[:5])})"
            log.info("%s is for %s, not these %d; a fresh one begins", where, known, self.num_classes)
            return
        try:
            self.head.load_state_dict(weights.head)
        except RuntimeError:  # another shape, in any of its layers
            rank_zero_warn(f"{where} is of another shape than this one; a fresh one begins")

    # What a subclass may want to be otherwise.

    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        """Return the head: features (N, ``num_features``) in, logits (N, C) out.

        Args:
            head: The linear head that is used by default; its first loss is ln(C), or it is pretrained.
            num_features: Width of the backbone's features.
        """
        return head

    def configure_loss(self) -> nn.Module:
        """Return the loss, called with logits (N, C) and labels (N,)."""
        p = self.hparams
        return create_loss(p["loss"], num_classes=self.num_classes, class_counts=p["class_counts"])

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W)."""
        return self.classify(self.features(images))

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        loss: Tensor = self.loss(logits, labels)
        return loss

    @override
    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what a batch counts in the mean over a set: the sum of its images' class weights."""
        weights = getattr(self.loss, "class_weights", None)
        return len(labels) if weights is None else weights[labels].sum()

    # The two parts of the network.

    def features(self, images: Tensor) -> Tensor:
        """Return the backbone's features (N, F) of images (N, 3, H, W)."""
        if self.hparams["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.backbone(images)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (N, C) of features (N, F)."""
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def logits_of(self, batch: Batch | Features | Any) -> Tensor:
        """Return logits (N, C) of a batch of images or of stored features."""
        return self.classify(batch.features) if isinstance(batch, Features) else self(batch[0])

    @torch.inference_mode()
    def extract_features(self, images: Tensor, precision: Precision | None = None) -> Tensor:
        """Return the backbone's features (N, F), float32 on the CPU, as evaluation would see them.

        Args:
            images: (N, 3, H, W), on any device.
            precision: To compute them in (default: that of the module's trainer, which a copy has none of).
        """
        was_training = self.training
        self.eval()
        precision = precision or self.trainer.precision_plugin
        with self.evaluated_weights(), precision.forward_context():
            features = self.features(precision.convert_input(images.to(self.device)))
        self.train(was_training)
        return features.float().cpu()

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the network, stem first, head last."""
        return layer_groups(self.backbone, self.head)

    # Weights that stand in for those that train.

    @contextmanager
    def evaluated_weights(self, averaged: bool = True) -> Iterator[None]:
        """Have inside what validation sees: the averaged weights where there are any, whatever is in now.

        Args:
            averaged: False has the trained weights inside, also within a validation.
        """
        if self.averaged is None or self._averaged_are_in == averaged:
            yield
            return
        self.swap_averaged()
        try:
            yield
        finally:
            self.swap_averaged()

    @property
    def averaged_are_in(self) -> bool:
        """Whether the averaged weights are in the module now, and the trained ones beside it."""
        return self._averaged_are_in

    def drop_averaged(self) -> None:
        """Have one set of weights: those that are in now."""
        self.averaged, self._averaged_are_in = None, False

    def swap_averaged(self) -> None:
        """Let averaged and trained weights change places; twice is as before, to the bit."""
        assert self.averaged is not None
        swap_weights_(self, self.averaged)
        self._averaged_are_in = not self._averaged_are_in

    @override
    def freeze_to(self, trainable: int) -> None:
        """As of any staged module; a layer that freezes is one from then on, averaged and trained.

        What validation sees of it is what stays: features that are computed of a frozen backbone are then those of the
        backbone that is judged.
        """
        moving = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        super().freeze_to(trainable)
        if self.averaged is None:
            return
        own, frozen = self.state_dict(keep_vars=True), set()
        for group in self.layer_groups[: len(self.layer_groups) - trainable]:
            if moving & {name for name, _ in group.parameters}:
                frozen |= {id(parameter) for _, parameter in group.parameters}
                frozen |= {id(buffer) for module in group.modules for buffer in module.buffers(recurse=False)}
        settled = {name: tensor for name, tensor in self.averaged.items() if id(own[name]) in frozen}
        if settled and not self._averaged_are_in:
            swap_weights_(self, settled)
            copy_weights_(self, settled)

    def replace_weights(self, state: dict[str, Tensor]) -> None:
        """Take weights and statistics of another moment, for training and for whatever stands in for it."""
        self.load_state_dict(state)
        if self.averaged is not None:
            copy_weights_(self, self.averaged)

    # What Lightning calls.

    @override
    def setup(self, stage: str) -> None:
        """Refuse an image size that the backbone cannot take, before anything is trained; then compile."""
        for size in getattr(self.datamodule(), "image_sizes", ()):
            check_image_size(self.backbone, size)
        if stage == "fit":
            self.judged_input = self.input_used
            self._refuse_what_cannot_be_kept()
        if stage == "fit" and self.plan is None:
            self.plan_changes = []
        if stage == "fit" and (found := dropout_before_norm(self)) is not None:
            rank_zero_warn(
                f"'{found[0]}' drops units before the batch-norm '{found[1]}', whose statistics are then others in "
                "training than in evaluation (Li et al. 2018); drop after the last batch-norm, as model.dropout does"
            )
        chosen = self.hparams["compile"]
        if stage == "fit" and chosen is not False:
            self.backbone.compile(**(chosen if isinstance(chosen, dict) else {}))

    def _plain_arguments(self) -> dict[str, Any]:
        """What the class was made with, as a checkpoint keeps it; without what Lightning adds."""
        return {name: plain(value) for name, value in self.hparams.items() if not name.startswith("_")}

    def _refuse_what_cannot_be_kept(self) -> None:
        """Say before the training, not after it, that its checkpoints could not be read back."""
        arguments = self._plain_arguments()
        if self.trainer.checkpoint_callbacks and (lost := cannot_be_kept(arguments)):
            raise UserError(
                f"model.{lost[0]}: a {type(arguments[lost[0]]).__name__} cannot be read back from a checkpoint; give "
                "plain values, or make it in the class and not by an argument"
            )

    @override
    def use_plan(self, plan: Plan) -> None:
        """As of any staged module; features are refused where a subclass would not see them for images."""
        cached = next((stage.name for stage in plan.stages if stage.cache_features), None)
        own = [name for name in BYPASSED if getattr(type(self), name) is not getattr(ImageClassifier, name)]
        if cached is not None and own:
            raise UserError(
                f"stage '{cached}', cache_features: {type(self).__name__} has its own {own[0]}, which stored features "
                "would go past; override features or classify instead, or leave cache_features out"
            )
        super().use_plan(plan)

    @override
    def apply_stage(self, stage: Stage) -> None:
        """As of any staged module; from now on the weights are those of this stage's images."""
        super().apply_stage(stage)
        self.judged_input = self.input_used

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss; logs it as ``train_loss_step``, and the epoch's ``train_loss`` and ``train_accuracy``.

        A mixed batch has the loss of both its labels, each by its share (Zhang et al. 2018, "mixup", section 2), and
        counts as the larger share's class.
        """
        if self.mixer is not None:
            batch = self.mixer(batch, self.step_key(batch_idx))
        if self.micro_batches > 1 and not self.rehearsing and batch_idx % self.trainer.accumulate_grad_batches == 0:
            self.optimizers(use_pl_optimizer=False).zero_grad()  # type: ignore[union-attr]  # Lightning would after it
        share, images = self._share_of_step(batch_idx), len(batch[1])
        parts = split_batch(batch, self.micro_batches if torch.is_grad_enabled() else 1)
        seen = gradient_of = torch.zeros((), device=self.device)
        for number, part in enumerate(parts, start=1):
            loss, penalty = self._training_loss(part)
            seen = seen + loss.detach() * (len(part[1]) / images)
            gradient_of = (loss + penalty) * (share * len(part[1]) / images)
            if number < len(parts):  # Lightning takes the last part's
                self._backward(gradient_of)
        self.log("train_loss_step", seen, prog_bar=True, batch_size=images)
        return gradient_of

    def _training_loss(self, batch: Any) -> tuple[Tensor, Tensor | float]:
        """Return the loss of a batch and the sum of its penalties, and count it."""
        logits, labels = self.logits_of(batch), batch[1]
        loss = self.compute_loss(logits, labels)
        if isinstance(batch, MixedBatch):
            loss = batch.share * loss + (1 - batch.share) * self.compute_loss(logits, batch.partners)
            labels = labels if batch.share >= 0.5 else batch.partners
        self.train_accuracy.update(logits.detach(), labels)
        self.train_loss.update(loss.detach(), weight=len(labels))
        penalties = {name: penalty() for name, penalty in self.penalties.items()}
        for name, value in penalties.items():
            self.log(name, value.detach())
        return loss, sum(penalties.values())

    def _backward(self, loss: Tensor) -> None:
        """Add a part's gradient; what the other processes have is added with the last part's."""
        strategy = self.trainer.strategy
        with strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext():
            strategy.backward(loss / self.trainer.accumulate_grad_batches, None)

    @override
    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Forget the gradients of the last step, unless this step's first parts are in them."""
        if self.micro_batches == 1:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def _share_of_step(self, batch_idx: int) -> float:
        """What a loss counts more where the epoch's last step accumulates fewer batches than the others.

        Lightning divides by the full number there too, so that step would be shorter than the mean over its images.
        """
        per_step, batches = self.trainer.accumulate_grad_batches, self.trainer.num_training_batches
        if per_step == 1 or self.rehearsing or not isinstance(batches, int):
            return 1.0
        left = batches % per_step
        return per_step / left if left and batch_idx >= batches - left else 1.0

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log at the last batch what the steps added up.

        Logging a metric at every step would cost more than a step of a head, and at the end of the epoch it would come
        after the callbacks have looked.
        """
        if self.trainer.is_last_batch and self.train_loss.update_called:  # a subclass may have a step of its own
            metrics = {"train_loss": self.train_loss, "train_accuracy": self.train_accuracy}
            self.log_dict(metrics, on_step=False, on_epoch=True)

    def finished_model(self) -> dict[str, Any]:
        """Return what a file needs beside the weights to be a usable model: see :mod:`lightning_recipes.modules.load`.

        Data that fits JSON where the arguments of a subclass do.
        """
        arguments = self._plain_arguments()
        if "pretrained" in arguments:  # where they came from: they are in the file now
            arguments |= {"pretrained": False, "backbone_kwargs": self._backbone_arguments or None}
        return {
            "class_path": import_path(type(self)),
            "task": "multiclass",
            "hyper_parameters": arguments,
            "input_config": asdict(self.input_used),
            "pretrained_input_config": asdict(self.input_config),
        }

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint a finished model, with the figures of its validation."""
        known = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        checkpoint |= self.finished_model()
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = {**known, **checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY]}
        checkpoint["metrics"] = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint["data_class_path"] = None if self.datamodule() is None else import_path(type(self.datamodule()))
        checkpoint["plan_changes"] = self.plan_changes
        # A file of weights alone has those to be used.
        if "optimizer_states" not in checkpoint and self.averaged is not None and not self._averaged_are_in:
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **self.averaged}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes, and take over what its weights expect of their images."""
        saved = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        classes, ours = saved.get("num_classes", self.num_classes), self.num_classes
        if classes != ours:
            raise UserError(
                f"ckpt_path: the checkpoint has {classes} classes, the data has {ours}; use the data it was made for"
            )
        names, own_names = saved.get("class_names"), self.hparams["class_names"]
        if names and own_names and list(names) != list(own_names):
            raise UserError(f"ckpt_path: the checkpoint's classes {names[:5]} are not the data's {own_names[:5]}")
        fitting = self._trainer is not None and self.trainer.state.fn == "fit"
        if "input_config" in checkpoint:
            used = InputConfig.of(checkpoint["input_config"])
            self.input_config = InputConfig.of(checkpoint.get("pretrained_input_config", checkpoint["input_config"]))
            self.judged_input = self.input_used if fitting else used
        if fitting:
            self.apply_plan_changes(checkpoint.get("plan_changes", []))
