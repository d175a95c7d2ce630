"""Early stopping: no more epochs than help, and the weights of the best one."""

import logging
from typing import Any, Literal

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from lightning_recipes.engine.monitored_metric import Monitored
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.protocols import Staged, require_staged
from lightning_recipes.optim.plateau import PlateauDetector

__all__ = ["EarlyStopping"]

log = logging.getLogger(__name__)


class EarlyStopping(pl.Callback):
    """End a stage or the run when a figure has stopped improving, and go back to the best epoch's weights.

    Each stage is watched from its start (``scope: stage``), or the run from its (``scope: run``). The weights of the
    best epoch are those that were validated. They come back at the end of the stage or the run, whatever ends it:
    this callback, the plan, or ``max_steps`` and ``max_time``, after which a run can still go on to the bit, as its
    last checkpoint has the weights that were trained. The optimizer's state stays as it is. Resumes exactly: what was
    seen and the best weights are in the checkpoint. Epochs without a validation (``check_val_every_n_epoch``) do not
    count.

    Lightning's ``EarlyStopping`` ends the run alone, keeps its last weights, and counts ``min_delta`` absolutely.

    List it after callbacks that log what it watches, such as ``EMA``, and before those that save weights.

    Source: Prechelt (1998), "Early Stopping - But When?"; the plateau rule of torch's ``ReduceLROnPlateau``.

    When: validation images are enough that a best epoch is not luck. Not with: one-cycle, whose end is where it learns
    most; the figure of the best epoch is then too good by selection, so report it on a test split.

    Args:
        monitor: Logged figure to watch.
        mode: Whether lower (``min``) or higher (``max``) is better.
        patience: Epochs with a new figure, and without improvement, that are let pass, >= 0.
        min_delta: What counts as an improvement, as a share of the best figure, >= 0.
        scope: What ends: ``stage`` or ``run``.
        restore_best: Go back to the best epoch's weights.

    Raises:
        UserError: A value cannot work; at the start of a fit, the module is not staged, or there are
            no stages to end; at an epoch's end, the figure is not logged.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: Literal["min", "max"] = "min",
        patience: int = 3,
        min_delta: float = 0.0,
        scope: Literal["stage", "run"] = "run",
        restore_best: bool = True,
    ) -> None:
        self.detector = PlateauDetector(mode, patience, min_delta, who="EarlyStopping")
        refuse_bad_values("EarlyStopping", ("scope", scope, scope in ("stage", "run"), "stage or run"))
        self.monitor, self.scope, self.restore_best = monitor, scope, restore_best
        self.figure = Monitored(monitor, "EarlyStopping")
        self._ended = False
        self.best: dict[str, Tensor] | None = None

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a foreign module, and stages that there are not."""
        module = require_staged(pl_module, "EarlyStopping")
        self._ended = False
        if self.scope == "stage" and module.plan is None:
            raise UserError("EarlyStopping.scope: stage needs the Stages callback; add it, or set scope: run")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that there is a new figure."""
        self.figure.on_validation_end(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the figure; keep the best weights; end what has stopped improving."""
        module = require_staged(pl_module, "EarlyStopping")
        plan, epoch = module.timeline.plan, trainer.current_epoch
        position = plan.index_at(epoch) if self.scope == "stage" else 0
        begin = plan.start_of(position)
        end = begin + plan.stages[position].epochs if self.scope == "stage" else trainer.max_epochs
        if epoch == begin:
            self.detector.reset()
            self.best = None
        figure = self.figure.take(trainer)
        stalled = figure is not None and self.detector.update(figure)
        if self.restore_best and figure is not None and self.detector.waited == 0 and not stalled:
            with module.evaluated_weights():
                self.best = {name: tensor.detach().clone() for name, tensor in pl_module.state_dict().items()}
        over = end is not None and epoch + 1 == end
        if stalled and not over:
            self._stop(trainer, module, epoch)
        if stalled or over:
            self._go_back(pl_module)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go back to the best weights, whatever has ended the run."""
        self._ended = True
        self._go_back(pl_module)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Likewise where the run was over already and nothing was trained."""
        if not self._ended:
            self._go_back(pl_module)

    def _go_back(self, module: pl.LightningModule) -> None:
        if self.best is not None:
            require_staged(module, "EarlyStopping").replace_weights(self.best)

    def _stop(self, trainer: pl.Trainer, module: Staged, epoch: int) -> None:
        name = module.timeline.plan.at(epoch).name
        if self.scope == "stage":
            module.end_stage()
        else:
            module.stop_run()
        if trainer.is_global_zero:
            what = f"stage '{name}' ends" if self.scope == "stage" else "the run ends"
            log.info("%s has not improved up to epoch %d: %s", self.monitor, epoch, what)

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen, and the best weights."""
        return {"detector": self.detector.state_dict(), "best": self.best, "figure": self.figure.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what had been seen."""
        self.detector.load_state_dict(state_dict["detector"])
        self.best = state_dict["best"]
        self.figure.load_state_dict(state_dict.get("figure", {}))
