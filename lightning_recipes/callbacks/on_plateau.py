"""What to do when a figure has stopped getting better: lower the rates, go on to the next stage, or restart."""

import logging
import math
from typing import Any, Literal

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.engine.monitored_metric import Monitored
from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.protocols import Staged, require_staged
from lightning_recipes.optim.plateau import PlateauDetector

__all__ = ["OnPlateau"]

log = logging.getLogger(__name__)


class OnPlateau(pl.Callback):
    """Watch a figure at the end of each epoch that has a new one, and act where it has not improved for a while.

    ``reduce`` multiplies every layer group's base rate by ``factor``, on top of the stage's schedule. ``end_stage``
    lets the next stage begin, and after the last one the run end. ``restart`` lets the stage's schedule begin anew over
    what is left of the stage. Each stage is watched from its start. Resumes exactly: rates are in the scheduler's
    checkpoint, changed stages in the module's, what was seen in this callback's.

    List it before callbacks that act on what it does, such as ``SnapshotEnsemble``.

    Source: the plateau rule of torch's ``ReduceLROnPlateau``; Bengio (2012), "Practical recommendations for
    gradient-based training", section 3.1.1.

    When: the length of a stage is not known beforehand.
    Not with: one-cycle, whose end is where it learns most.

    Args:
        action: What to do.
        monitor: Logged figure to watch.
        mode: Whether lower (``min``) or higher (``max``) is better.
        patience: Epochs with a new figure, and without improvement, that are let pass, >= 0.
        min_delta: What counts as an improvement, as a share of the best figure, >= 0.
        cooldown: Epochs with a new figure, after an action, that are not counted, >= 0.
        factor: Of ``reduce``, in (0, 1).
        min_lr: Of ``reduce``: base rate of the head below which it does not go.
        stages: Names of the stages to watch (default: all).

    Raises:
        UserError: A value cannot work; at the start of a fit, there is no such stage; at an epoch's end, the figure is
            not logged.
    """

    one_a_stage = True  # there may be several

    def __init__(
        self,
        action: Literal["reduce", "end_stage", "restart"] = "reduce",
        monitor: str = "val_loss",
        mode: Literal["min", "max"] = "min",
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        factor: float = 0.1,
        min_lr: float = 0.0,
        stages: list[str] | None = None,
    ) -> None:
        actions = ("reduce", "end_stage", "restart")
        refuse_bad_values(
            "OnPlateau",
            ("action", action, action in actions, f"one of {', '.join(actions)}"),
            ("factor", factor, 0 < factor < 1, "a factor in (0, 1)"),
            ("min_lr", min_lr, 0 <= min_lr < math.inf, "a learning rate >= 0"),
        )
        self.detector = PlateauDetector(mode, patience, min_delta, cooldown, who="OnPlateau")
        self.figure = Monitored(monitor, "OnPlateau")
        self.action, self.monitor, self.factor, self.min_lr, self.stages = action, monitor, factor, min_lr, stages

    @property
    @override
    def state_key(self) -> str:
        """What its state is called in a checkpoint: there may be several, each for its stages and its action."""
        return f"OnPlateau[{self.action}, {self.monitor}, {self.stages}]"

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a foreign module."""
        if stage == "fit":
            require_staged(pl_module, "OnPlateau")

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse stages that there are not."""
        module = require_staged(pl_module, "OnPlateau")
        module.timeline.plan.require_stages("OnPlateau.stages", self.stages)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that there is a new figure."""
        self.figure.on_validation_end(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the figure, and act."""
        module = require_staged(pl_module, "OnPlateau")
        plan, epoch = module.timeline.plan, trainer.current_epoch
        position = plan.index_at(epoch)
        stage = plan.stages[position]
        figure = self.figure.take(trainer)
        if self.stages is not None and stage.name not in self.stages:
            return
        if epoch == plan.start_of(position):
            self.detector.reset()
        if figure is None or not self.detector.update(figure):
            return
        last_epoch = epoch + 1 == plan.start_of(position) + stage.epochs
        if self.action == "reduce":
            self._reduce(module)
        elif not last_epoch and self.action == "end_stage":
            module.end_stage()
        elif not last_epoch:
            module.restart_schedule()
        if trainer.is_global_zero:
            log.info(
                "%s has not improved in stage '%s' up to epoch %d: %s", self.monitor, stage.name, epoch, self.action
            )

    def _reduce(self, module: Staged) -> None:
        lr = module.base_lr
        lowered = max(lr * self.factor, self.min_lr)
        if lowered < lr:
            module.scale_learning_rates(lowered / lr)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen."""
        return {**self.detector.state_dict(), "figure": self.figure.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what had been seen."""
        self.detector.load_state_dict(state_dict)
        self.figure.load_state_dict(state_dict.get("figure", {}))
