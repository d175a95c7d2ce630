"""What trains, at which rate, and until when: the part of a module that a plan of stages acts on."""

import functools
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import override

from lightning_recipes.compat.lightning import gradient_scaler, set_max_epochs
from lightning_recipes.components import Spec
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.models.groups import LayerGroup, freeze_to, set_modes
from lightning_recipes.optim.optimizers import create_optimizer
from lightning_recipes.optim.parameter_groups import keep_own_options, parameter_groups
from lightning_recipes.optim.rates import head_rate, set_base_rates, set_learning_rates, set_momentum
from lightning_recipes.schedules.resolve import resolve_schedule
from lightning_recipes.stages.plan import Plan, Stage
from lightning_recipes.stages.step_count import count_plan, epochs_to_train
from lightning_recipes.stages.timeline import Timeline

__all__ = ["Optimization", "PlannedModule"]


@dataclass(frozen=True)
class Optimization:
    """How a module trains where its plan says nothing else; see :class:`PlannedModule`."""

    lr: float
    lr_decay: float
    weight_decay: float
    optimizer: Spec
    schedule: Spec
    freeze_norm_stats: bool


class PlannedModule(pl.LightningModule):
    """A module with layer groups that are frozen and trained by a plan, with one optimizer for the whole run.

    Args:
        lr: Base learning rate of the head, at the peak of the schedule.
        lr_decay: Factor between neighbouring layer groups, in (0, 1].
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments.
        schedule: Factor on all rates over a stage, with its arguments.
        freeze_norm_stats: Keep the norm statistics of all layer groups but the last, also where they train.

    Raises:
        UserError: A value cannot work.

    Attributes:
        optimization: The arguments.
        plan: The stages of the run as they turned out so far, or None without stages.
        plan_changes: What was changed in them, in this order; checkpoints hold it.
        stage_epochs: The epochs of each stage before anything was changed; checkpoints hold them.
        stage_begun_at: The epoch at which base rates were last taken from the plan.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-3,
        lr_decay: float = 1.0,
        weight_decay: float = 0.01,
        optimizer: Spec = "adamw",
        schedule: Spec = "cosine",
        freeze_norm_stats: bool = False,
    ) -> None:
        super().__init__()
        refuse_bad_values(
            "model",
            ("lr", lr, 0 <= lr < math.inf, "a learning rate >= 0"),
            ("lr_decay", lr_decay, 0 < lr_decay <= 1, "a factor in (0, 1]"),
            ("weight_decay", weight_decay, 0 <= weight_decay < math.inf, "a number >= 0"),
        )
        resolve_schedule("model.schedule", schedule)
        self.optimization = Optimization(lr, lr_decay, weight_decay, optimizer, schedule, freeze_norm_stats)
        self.plan: Plan | None = None
        self.plan_changes: list[list[Any]] = []
        self.stage_epochs: list[int] = []
        self.stage_begun_at: int | None = None
        self._timeline: Timeline | None = None
        self._trainable_groups: int | None = None

    # Layer groups: what trains.

    @property
    @abstractmethod
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the network, stem first, head last.

        Made by :func:`~lightning_recipes.models.groups.groups_of` of the parts of one's own network.
        """

    def freeze_to(self, trainable: int) -> None:
        """Train the last ``trainable`` layer groups only; 1 is the head alone.

        The others need no gradient, keep their norm statistics and use no dropout, and stay so when the module is put
        into train mode again.
        """
        groups = self.layer_groups
        if not 1 <= trainable <= len(groups):
            raise UserError(f"train: {trainable} layer groups asked for; the network has 1 to {len(groups)}")
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
        self.freeze_to(stage.trainable_of(len(self.layer_groups)))

    @override
    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules but those of frozen layer groups, which stay in eval mode."""
        super().train(mode)
        trainable = self._trainable_groups
        if mode and (trainable is not None or self.optimization.freeze_norm_stats):
            groups = self.layer_groups
            set_modes(groups, trainable or len(groups), fixed_norm=self.optimization.freeze_norm_stats)
        return self

    # Rates: base rates belong to the stage, the schedule multiplies them.

    def rates_of(self, stage: Stage) -> tuple[float, float]:
        """Return a stage's base rate of the head and its factor between layer groups: its own, else the module's."""
        own = self.optimization
        return own.lr if stage.lr is None else stage.lr, own.lr_decay if stage.lr_decay is None else stage.lr_decay

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
        if any(isinstance(callback, StochasticWeightAveraging) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError(
                "trainer.callbacks: StochasticWeightAveraging would put its own schedule in the plan's place; take "
                "lightning_recipes.EMA"
            )
        own, timeline = self.optimization, self._make_timeline()
        self._timeline = timeline
        lr, lr_decay = self.rates_of(timeline.plan.stages[0])
        layers = [(group.name, group.parameters) for group in self.layer_groups]
        groups = parameter_groups(layers, lr=lr, lr_decay=lr_decay, weight_decay=own.weight_decay)
        fuse = gradient_scaler(self.trainer) is None
        optimizer = create_optimizer(own.optimizer, groups, lr=lr, weight_decay=own.weight_decay, fuse=fuse)
        keep_own_options(optimizer)
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
        optimizer, _ = self._optimizer_and_scheduler()
        set_momentum(optimizer, self.timeline.momentum(scheduler.last_epoch))

    # The plan: what each epoch is.

    @property
    def timeline(self) -> Timeline:
        """The plan of the run in optimizer steps; there is one as soon as there is an optimizer."""
        assert self._timeline is not None, "no fit has begun"
        return self._timeline

    @property
    def epochs_to_train(self) -> int:
        """How many epochs the run has: those of its plan, or fewer where ``max_epochs`` or ``max_steps`` end it."""
        return epochs_to_train(self.timeline, self.trainer)

    def use_plan(self, plan: Plan) -> None:
        """Take a plan for the run, and forget what an earlier run changed in its own."""
        self.plan, self.plan_changes = plan, []
        self.stage_epochs = [stage.epochs for stage in plan.stages]

    def end_stage(self) -> None:
        """Let the current stage end with the current epoch; what follows comes sooner.

        To be called at the end of a training epoch, as the next two. A checkpoint holds the change.
        """
        self._change_plan("end", self.current_epoch)

    def restart_schedule(self) -> None:
        """Let the current stage's schedule begin anew with the next epoch, over what is left of the stage."""
        self._change_plan("restart", self.current_epoch)

    def stop_run(self) -> None:
        """Let the run end with the current epoch, whatever stages would follow; works without stages too."""
        self._change_plan("stop", self.current_epoch)

    def apply_plan_changes(self, changes: list[list[Any]]) -> None:
        """Change the plan again as it was changed in the run that goes on."""
        for kind, epoch in changes:
            self._change_plan(kind, epoch)

    def _change_plan(self, kind: str, epoch: int) -> None:
        if self.plan is None and kind != "stop":
            raise UserError("there are no stages to end or restart; add the Stages callback")
        self.plan_changes.append([kind, epoch])
        if self.plan is None:
            set_max_epochs(self.trainer, epoch + 1)
            return
        changed = {"end": Plan.ended_after, "restart": Plan.restarted_after, "stop": Plan.stopped_after}
        self.plan = changed[kind](self.plan, epoch)
        if (data := image_data_of(self.trainer)) is not None:
            data.change_plan(self.plan)
        if self._timeline is not None:  # it is made later where a checkpoint is being read
            self._timeline = self._make_timeline()
            optimizer, scheduler = self._optimizer_and_scheduler()
            set_base_rates(optimizer, scheduler, [float(rate) for rate in scheduler.base_lrs])
            set_momentum(optimizer, self.timeline.momentum(scheduler.last_epoch))
        most = self.trainer.max_epochs
        if most is None or not 0 <= most <= self.plan.epochs:
            set_max_epochs(self.trainer, self.plan.epochs)

    def _make_timeline(self) -> Timeline:
        return count_plan(self.plan, self.optimization.schedule, self.trainer, image_data_of(self.trainer))
