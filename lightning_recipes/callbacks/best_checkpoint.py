"""The judge of a run: which epoch is the best, and its weights in ``best.ckpt``, a finished model."""

import math
import os
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging
from lightning.pytorch.utilities import rank_zero_warn
from torchmetrics import MetricCollection
from typing_extensions import override

from lightning_recipes.engine.best import Best, read_best
from lightning_recipes.engine.checkpoint_io import use_whole_checkpoints
from lightning_recipes.errors import UserError, did_you_mean, refuse_bad_values
from lightning_recipes.modules.protocols import staged_of

__all__ = ["BestCheckpoint"]

OF_ANY = ("val_accuracy", "max")  # of a module that does not say which metric decides


class BestCheckpoint(Checkpoint):
    """Keep the weights of the best epoch in ``best.ckpt``; of two equal ones the earlier.

    Decides at the end of each validation and writes at once, so what is written is what earned the score: averaged
    weights where there are any, and never those that a callback puts in their place at the epoch's end. Whoever reports
    figures of the run takes them from here; other checkpoints of the user's own change nothing of that. The file is a
    finished model (:func:`lightning_recipes.load`), not a point to go on from, which is ``last.ckpt``.

    Keeps no state: the best epoch so far is what the file in the folder says, wherever the folder lies by now. A run
    that goes on in a folder without one begins to look anew.

    Lightning's ``ModelCheckpoint`` is not used: it writes what the weights are at the epoch's end, and forgets its best
    score where the folder is spelt another way.

    Args:
        monitor: Metric to judge by, which the validation logs: ``val_f1``, ``val_loss``, and those of
            ``model.metrics``, such as ``val_balanced_accuracy`` or ``val_roc_auc`` (default: the module's own:
            ``val_accuracy``, with several labels an image ``val_map``, without labels ``val_loss``).
        mode: ``max`` or ``min`` (default: as the metric has it; of one that is not known, ``min`` of a loss, else
            ``max``).
        dirpath: Folder (default, and on the command line: ``checkpoints`` in the run's).

    Raises:
        UserError: ``mode`` is none of them; before the first step, the metric is not logged by the validation.

    Attributes:
        best: The best epoch so far; None before the first validation.
        best_model_path: Its file, for Lightning's ``trainer.test(ckpt_path="best")``; empty before.
    """

    FILE = "best.ckpt"

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["max", "min"] | None = None,
        dirpath: str | None = None,
    ) -> None:
        refuse_bad_values("best_checkpoint", ("mode", mode, mode in ("max", "min", None), "max or min"))
        self._given, self.dirpath = (monitor, mode), dirpath
        self.monitor, self.mode = monitor or OF_ANY[0], mode or OF_ANY[1]
        self.best: Best | None = None
        self.best_model_path, self._near = "", ""

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let no checkpoint of the trainer be torn, whoever saves it."""
        use_whole_checkpoints(trainer)
        monitor, mode = self._given
        staged = staged_of(pl_module)
        own = OF_ANY if staged is None else staged.best_metric
        self.monitor = monitor or own[0]
        self.mode = mode or (own[1] if self.monitor == own[0] else _direction(pl_module, self.monitor))

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take what the folder's own file says, where a run goes on."""
        if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError(
                "trainer.callbacks: Lightning's weight averaging validates other weights than it hands to a "
                "checkpoint; take lightning_recipes.EMA"
            )
        self._look_for_monitor(trainer, pl_module)
        path = self._path(trainer)
        self.best = read_best(path, self.monitor) if trainer.ckpt_path else None
        unknown = self.best is None or self._score(self.best.metrics) is None
        if trainer.ckpt_path and path.exists() and unknown:
            self.best = None
            rank_zero_warn(
                f"best_checkpoint: {path} does not say what '{self.monitor}' it reached; the best epoch is looked for "
                "anew from here on"
            )
        self.best_model_path = "" if self.best is None else str(path)

    def _look_for_monitor(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Refuse a metric that could be had, and have a batch validated before any step where nobody knows of it."""
        known = getattr(module, "val_metrics", None)
        if not isinstance(known, MetricCollection) or self.monitor in ("val_loss", *known):
            return
        name = self.monitor.removeprefix("val_")
        further = getattr(getattr(module, "task", None), "further_metrics", {})
        if name in getattr(module, "further_metrics", ()):
            raise UserError(
                f"best_checkpoint.monitor: '{self.monitor}' is in model.metrics, and the module's configure_metrics "
                "leaves it out; add it there"
            )
        if name in further:
            raise UserError(f"best_checkpoint.monitor: '{self.monitor}' is not measured; give model.metrics: [{name}]")
        self._near = did_you_mean(self.monitor, ["val_loss", *known, *(f"val_{one}" for one in further)])
        if trainer.enable_validation and not trainer.num_sanity_val_steps:
            trainer.num_sanity_val_steps = 1

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge, and write."""
        if trainer.state.fn != "fit":
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        score = self._score(metrics)
        if score is None:
            known = ", ".join(sorted(name for name in metrics if name.startswith("val_")))
            raise UserError(
                f"best_checkpoint.monitor: '{self.monitor}' is not logged by the validation; there are {known}"
                f"{self._hint(trainer)}"
            )
        if trainer.sanity_checking or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        # Rank 0 decides for all: a metric that somebody logs without bringing the ranks together is another on each.
        if trainer.strategy.broadcast(self._is_better(score)):
            path = self._path(trainer)
            trainer.save_checkpoint(path, weights_only=True)
            self.best = Best(path, trainer.current_epoch, trainer.global_step, metrics, self.monitor)
            self.best_model_path = str(path)

    def _hint(self, trainer: pl.Trainer) -> str:
        """What may be wrong with a metric that nobody logs."""
        if self.monitor.endswith("_raw"):
            return "; those that end with _raw are EMA's, with validate: both"
        if self._near or not trainer.sanity_checking:
            return self._near
        return "; a batch was validated before training to see it, and it has to be logged there too"

    def _is_better(self, score: float) -> bool:
        best = None if self.best is None else self._score(self.best.metrics)
        if best is None or (math.isnan(best) and not math.isnan(score)):
            return True
        return score > best if self.mode == "max" else score < best

    def _score(self, metrics: dict[str, float]) -> float | None:
        return metrics.get(self.monitor)

    def _path(self, trainer: pl.Trainer) -> Path:
        return Path(self.dirpath or os.path.join(trainer.default_root_dir, "checkpoints")) / self.FILE


def _direction(module: pl.LightningModule, monitor: str) -> Literal["max", "min"]:
    """Return where the better values of a metric are."""
    metrics = getattr(module, "val_metrics", None)
    known = dict(metrics.items()) if isinstance(metrics, MetricCollection) else {}
    if monitor in known:
        return "min" if known[monitor].higher_is_better is False else "max"
    return "min" if monitor.removesuffix("_raw").endswith("loss") else "max"
