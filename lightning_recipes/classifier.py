"""The image classifier: a timm backbone, a head, one optimizer for a run. It knows no callback and no logger."""

import functools
import math
from dataclasses import asdict
from typing import Any, Self

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy
from typing_extensions import override

from lightning_recipes.counting import count_plan
from lightning_recipes.data.batch import Batch, Features
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.evaluator import Evaluator
from lightning_recipes.models.backbone import InputConfig, check_image_size, create_backbone
from lightning_recipes.models.groups import LayerGroup, freeze_to, layer_groups, set_modes
from lightning_recipes.optim.losses import create_loss
from lightning_recipes.optim.optimizers import create_optimizer
from lightning_recipes.optim.parameter_groups import parameter_groups
from lightning_recipes.optim.rates import head_rate, set_base_rates, set_learning_rates, set_momentum
from lightning_recipes.plan import Plan, Stage
from lightning_recipes.randomness import seed_process
from lightning_recipes.schedules.resolve import resolve_schedule
from lightning_recipes.timeline import Timeline

__all__ = ["ImageClassifier"]


class ImageClassifier(Evaluator):
    """Any timm backbone with a fresh head, ready for freeze-then-unfreeze transfer learning.

    Made to be subclassed: override :meth:`configure_head`, :meth:`configure_loss`, :meth:`configure_metrics`,
    :meth:`forward` or :meth:`compute_loss`; each does one thing.

    A batch is (images, labels, ...): images (N, 3, H, W) normalised, labels (N,) int64.

    Args:
        backbone: Name of a timm architecture, with or without a tag: ``resnet50``, ``resnet50.a1_in1k``.
        num_classes: Number of classes, >= 2 (on the command line: linked from the data).
        pretrained: ``true`` (timm's own weights), ``false``, a path to a ``.safetensors``, ``.pth`` or a run's
            ``.ckpt``, ``hf-hub:...``, or ``embedded:letters``. A classifier for other classes is dropped.
        backbone_kwargs: Arguments of the timm architecture.
        image_size: Side of the images in pixels, for backbones that are built for one size (linked from the data).
        class_names: Names of the classes (linked from the data).
        lr: Base learning rate of the head, at the peak of the schedule.
        lr_decay: Factor between neighbouring layer groups, in (0, 1]: group g, counted from the head, trains at
            ``lr * lr_decay ** g``.
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments.
        schedule: Factor on all rates over a stage, with its arguments: ``constant``, ``cosine``, ``one_cycle``.
        loss: On logits (N, C) and labels (N,), with its arguments.
        freeze_norm_stats: Keep the norm statistics of the backbone as pretrained, also where it trains.

    Raises:
        UserError: The backbone, its weights or a value does not fit; the text names the key.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        pretrained: bool | str = True,
        backbone_kwargs: dict[str, Any] | None = None,
        image_size: int | None = None,
        class_names: list[str] | None = None,
        lr: float = 1e-3,
        lr_decay: float = 1.0,
        weight_decay: float = 0.01,
        optimizer: str | dict[str, Any] = "adamw",
        schedule: str | dict[str, Any] = "cosine",
        loss: str | dict[str, Any] = "cross_entropy",
        freeze_norm_stats: bool = False,
    ) -> None:
        super().__init__()
        if not num_classes >= 2:
            raise UserError(f"model.num_classes: {num_classes} is not a number >= 2")
        if not 0 <= lr < math.inf:
            raise UserError(f"model.lr: {lr} is not a learning rate >= 0")
        if not 0 < lr_decay <= 1:
            raise UserError(f"model.lr_decay: {lr_decay} is not a factor in (0, 1]")
        if not 0 <= weight_decay < math.inf:
            raise UserError(f"model.weight_decay: {weight_decay} is not a number >= 0")
        resolve_schedule("model.schedule", schedule)  # before the weights are read
        self.save_hyperparameters()
        self.num_classes, self.class_names = num_classes, class_names
        built = create_backbone(
            backbone,
            num_classes=num_classes,
            pretrained=pretrained,
            backbone_kwargs=backbone_kwargs,
            image_size=image_size,
        )
        self.backbone = built.features
        self.head = self.configure_head(built.head, built.num_features)
        self.input_config: InputConfig = built.input
        self.loss = self.configure_loss()
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.train_loss = loss_mean()
        self.add_metrics()
        self.rehearsing = False  # callbacks that count what they see leave these steps out
        self.stage_begun_at: int | None = None  # the epoch at which base rates were last taken from the plan
        self.plan: Plan | None = None
        self.plan_changes: list[list[Any]] = []
        self._timeline: Timeline | None = None
        self._trainable_groups: int | None = None

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
        return create_loss(self.hparams["loss"])

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W)."""
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        loss: Tensor = self.loss(logits, labels)
        return loss

    # Layer groups: what trains, and at which rate.

    @property
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the network, stem first, head last."""
        return layer_groups(self.backbone, self.head)

    def freeze_to(self, trainable: int) -> None:
        """Train the last ``trainable`` layer groups only; 1 is the head alone.

        The others need no gradient, keep their norm statistics and use no dropout, and stay so when the module is put
        into train mode again.
        """
        groups = self.layer_groups
        if not 1 <= trainable <= len(groups):
            raise UserError(
                f"train: {trainable} layer groups asked for; {self.hparams['backbone']} has 1 to {len(groups)}"
            )
        freeze_to(groups, trainable)
        self._trainable_groups = trainable
        self.train(self.training)

    @override
    def unfreeze(self) -> Self:
        """Train all layer groups."""
        self.freeze_to(len(self.layer_groups))
        return self

    def apply_stage(self, stage: Stage) -> None:
        """Freeze what a stage does not train; doing it twice is doing it once."""
        count = {"head": 1, "all": len(self.layer_groups)}
        self.freeze_to(count[stage.train] if isinstance(stage.train, str) else stage.train)

    @override
    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules but those of frozen layer groups, which stay in eval mode."""
        super().train(mode)
        trainable = getattr(self, "_trainable_groups", None)
        if mode and (trainable is not None or self.hparams["freeze_norm_stats"]):
            groups = self.layer_groups
            set_modes(groups, trainable or len(groups), fixed_norm=self.hparams["freeze_norm_stats"])
        return self

    # Rates: base rates belong to the stage, the schedule multiplies them.

    @property
    def base_lr(self) -> float:
        """Base rate of the head, as the stage, a learning rate finder or a plateau has left it."""
        return head_rate(*self._optimizer_and_scheduler())

    def set_learning_rates(self, lr: float, lr_decay: float) -> None:
        """Give every layer group its base rate; the schedule goes on from where it is.

        Args:
            lr: Base rate of the head.
            lr_decay: Factor between neighbouring layer groups.
        """
        set_learning_rates(*self._optimizer_and_scheduler(), lr=lr, lr_decay=lr_decay)

    def scale_learning_rates(self, factor: float) -> None:
        """Multiply every layer group's base rate, so that they stay in proportion."""
        optimizer, scheduler = self._optimizer_and_scheduler()
        set_base_rates(optimizer, scheduler, [float(rate) * factor for rate in scheduler.base_lrs])

    def _optimizer_and_scheduler(self) -> tuple[torch.optim.Optimizer, LambdaLR]:
        optimizer, scheduler = self.optimizers(use_pl_optimizer=False), self.lr_schedulers()
        assert isinstance(optimizer, torch.optim.Optimizer)
        assert isinstance(scheduler, LambdaLR)
        return optimizer, scheduler

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """One optimizer for the run, with a group per layer group and decay kind, and the plan's schedules on it."""
        p, timeline = self.hparams, self._make_timeline()
        self._timeline = timeline
        first = timeline.plan.stages[0]
        lr = p["lr"] if first.lr is None else first.lr
        layers = [(group.name, group.parameters) for group in self.layer_groups]
        groups = parameter_groups(
            layers, lr=lr, lr_decay=first.lr_decay or p["lr_decay"], weight_decay=p["weight_decay"]
        )
        optimizer = create_optimizer(p["optimizer"], groups, lr=lr, weight_decay=p["weight_decay"])
        set_momentum(optimizer, timeline.momentum(0))

        # Every group asks for the same step; a plan that changes is another timeline.
        once = functools.lru_cache(maxsize=1)(Timeline.factor)

        def factor(step: int) -> float:
            return once(self.timeline, step)

        # A plain function, not an object: LambdaLR saves an object's attributes and would bring an old schedule back.
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    @override
    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Move rates and momentum to the next step."""
        super().lr_scheduler_step(scheduler, metric)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        set_momentum(optimizer, self.timeline.momentum(scheduler.last_epoch))

    # The plan: what each epoch is.

    @property
    def timeline(self) -> Timeline:
        """The plan of the run in optimizer steps; there is one as soon as there is an optimizer."""
        assert self._timeline is not None, "no fit has begun"
        return self._timeline

    def use_plan(self, plan: Plan) -> None:
        """Take a plan for the run, and forget what an earlier run changed in its own."""
        self.plan, self.plan_changes = plan, []

    def end_stage(self) -> None:
        """Let the current stage end with the current epoch; what follows comes sooner.

        To be called at the end of a training epoch. A checkpoint holds the change.
        """
        self._change_plan("end", self.current_epoch)

    def restart_schedule(self) -> None:
        """Let the current stage's schedule begin anew with the next epoch, over what is left of the stage.

        To be called at the end of a training epoch. A checkpoint holds the change.
        """
        self._change_plan("restart", self.current_epoch)

    def _change_plan(self, kind: str, epoch: int) -> None:
        if self.plan is None:
            raise UserError("there are no stages to end or restart; add the Stages callback")
        self.plan = self.plan.ended_after(epoch) if kind == "end" else self.plan.restarted_after(epoch)
        self.plan_changes.append([kind, epoch])
        if hasattr(self.datamodule(), "change_plan"):
            self.datamodule().change_plan(self.plan)
        if self._timeline is not None:  # it is made later where a checkpoint is being read
            self._timeline = self._make_timeline()
            optimizer, scheduler = self._optimizer_and_scheduler()
            set_base_rates(optimizer, scheduler, [float(rate) for rate in scheduler.base_lrs])
            set_momentum(optimizer, self.timeline.momentum(scheduler.last_epoch))
        fit_loop = self.trainer.fit_loop
        if fit_loop.max_epochs is None or not 0 <= fit_loop.max_epochs <= self.plan.epochs:
            fit_loop.max_epochs = self.plan.epochs

    def _make_timeline(self) -> Timeline:
        return count_plan(self.plan, self.hparams["schedule"], self.trainer, self.datamodule())

    # What Lightning calls.

    @override
    def setup(self, stage: str) -> None:
        """Refuse an image size that the backbone cannot take, before anything is trained."""
        for size in getattr(self.datamodule(), "image_sizes", ()):
            check_image_size(self.backbone, size)

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make dropout, stochastic depth and every other draw of this step a function of (seed, epoch, batch, rank)."""
        seed_process("step", self.current_epoch, batch_idx, self.global_rank)

    def logits_of(self, batch: Batch | Features | Any) -> Tensor:
        """Return logits (N, C) of a batch of images or of stored features."""
        if isinstance(batch, Features):
            logits: Tensor = self.head(batch.features)
            return logits
        return self(batch[0])  # type: ignore[no-any-return]

    @torch.inference_mode()
    def extract_features(self, images: Tensor) -> Tensor:
        """Return the backbone's features (N, F), float32 on the CPU, as evaluation would see them."""
        was_training = self.training
        self.eval()
        with self.trainer.precision_plugin.forward_context():
            features: Tensor = self.backbone(images.to(self.device))
        self.train(was_training)
        return features.float().cpu()

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss; logs it as ``train_loss_step``, and the epoch's ``train_loss`` and ``train_accuracy``."""
        logits, labels = self.logits_of(batch), batch[1]
        loss = self.compute_loss(logits, labels)
        self.train_accuracy.update(logits.detach(), labels)
        self.train_loss.update(loss.detach(), weight=len(labels))
        self.log("train_loss_step", loss.detach(), prog_bar=True, batch_size=len(labels))
        return loss

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log at the last batch what the steps added up.

        Logging a metric at every step would cost more than a step of a head, and at the end of the epoch it would come
        after the callbacks have looked.
        """
        if self.trainer.is_last_batch and self.train_loss.update_called:  # a subclass may have a step of its own
            metrics = {"train_loss": self.train_loss, "train_accuracy": self.train_accuracy}
            self.log_dict(metrics, on_step=False, on_epoch=True)

    @property
    def input_used(self) -> dict[str, Any]:
        """What the weights expect of their images: the pretrained ones' own configuration, unless the data has its."""
        return {**asdict(self.input_config), **getattr(self.datamodule(), "input_used", {})}

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the weights expect of their images, and drop where they came from: they are in the file now."""
        checkpoint["input_config"] = self.input_used
        checkpoint["plan_changes"] = self.plan_changes
        if "pretrained" in checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {}):
            checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY]["pretrained"] = False

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
        if "input_config" in checkpoint:
            self.input_config = InputConfig(**checkpoint["input_config"])
        if self.plan is not None:
            for kind, epoch in checkpoint.get("plan_changes", []):
                self._change_plan(kind, epoch)
