"""Snapshot ensembles: one training with warm restarts, a snapshot at the end of each cycle, their mean at the end."""

import copy
import logging
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.forward import on_device
from lightning_recipes.engine.predictions import over_validation
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.mean_probabilities import average_weights, disagreement, means_of_last
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.figures.snapshots import CycleCurve, snapshot_figure
from lightning_recipes.models.norm_statistics import reestimate_statistics
from lightning_recipes.models.snapshot_files import INDEX, find_snapshots, save_snapshot
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.modules.protocols import Staged, require_staged, require_trained_head

__all__ = ["SnapshotEnsemble"]

log = logging.getLogger(__name__)


class SnapshotEnsemble(pl.Callback):
    """Save the weights at the end of each cycle of warm restarts, and judge the mean of what they predict.

    At the end of the fit one pass over the validation images gives the probabilities of every snapshot. From them: the
    accuracy of the mean of the last m snapshots, m = 1 to all of them, against each single one and against the mean of
    their weights (a soup, whose batch-norm statistics are estimated anew); how often two of them disagree. Writes
    ``snapshots/`` (weights, their figures beside them, and ``ensemble.json``) and ``figures/snapshots.png``; logs
    ``ensemble_val_accuracy``. ``validate``, ``test`` and ``predict`` take the folder where they take a checkpoint.

    List it after callbacks that restart the schedule.

    Source: Huang et al. (2017), "Snapshot Ensembles: Train 1, Get M for Free"; Izmailov et al. (2018) for the soup.

    When: the training is long enough for several cycles that each find a good minimum.
    Not with: a few epochs of fine-tuning, whose snapshots hardly differ.

    Args:
        stages: Names of the stages to take snapshots in; one without cycles gives one, at its end (default: every stage
            whose schedule has cycles).
        last: How many of the last snapshots make the ensemble (default: all).
        soup: Judge the mean of the weights too.

    Raises:
        UserError: A value cannot work; at the start of a fit, no stage has cycles, or one ends inside an epoch.
    """

    FOLDER = "snapshots"

    def __init__(self, stages: list[str] | None = None, last: int | None = None, soup: bool = True) -> None:
        refuse_bad_values("SnapshotEnsemble", ("last", last, last is None or last >= 1, "a number >= 1"))
        self.stages, self.last, self.soup = stages, last, soup
        self.history: list[dict[str, float | None]] = []
        self.result: dict[str, Any] | None = None

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the losses of the epochs so far; the snapshots themselves are files."""
        return {"history": [dict(row) for row in self.history]}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the losses of the epochs so far."""
        self.history = state_dict["history"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a plan that has no cycles, or whose cycles do not end with epochs."""
        module = require_trained_head(pl_module, "SnapshotEnsemble")
        module.timeline.plan.require_stages("SnapshotEnsemble.stages", self.stages)
        ends = self.ends(module)
        if not ends:
            raise UserError(
                "SnapshotEnsemble: no stage has a cycle that ends; give one schedule: {name: warm_restarts, ...} "
                "and as many epochs as its cycles have, or name stages"
            )
        for end, stage in ends:
            if end != round(end):
                raise UserError(
                    f"SnapshotEnsemble: a cycle of stage '{stage}' ends inside an epoch, after {end:g} of them; "
                    "give cycle_epochs and cycle_mult that make whole epochs"
                )

    def ends(self, module: Staged) -> list[tuple[float, str]]:
        """Return after how many epochs of the run each snapshot is taken, and the name of its stage."""
        timeline, found = module.timeline, []
        for position, stage in enumerate(timeline.plan.stages):
            has_cycles = timeline.schedules[position].curve.cycle_lengths is not None
            if stage.name in self.stages if self.stages is not None else has_cycles:
                found += [(end, stage.name) for end in timeline.cycle_ends(position)]
        return found

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the losses, and take a snapshot where a cycle ends."""
        module = require_staged(pl_module, "SnapshotEnsemble")
        done, figures = trainer.current_epoch + 1, trainer.callback_metrics
        row = {name: float(figures[name]) if name in figures else None for name in ("train_loss", "val_loss")}
        self.history = [*self.history[: trainer.current_epoch], row]
        ends = self.ends(module)
        for number, (end, stage) in enumerate(ends, start=1):
            if end == done and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
                beside = {name: float(v) for name, v in figures.items() if name.startswith("val_")}
                beside |= {"cycle": number, "stage": stage, "epoch": done - 1}  # type: ignore[dict-item]
                # Not the whole checkpoint: a snapshot knows nothing of the plan that it was made by.
                header = module.finished_model()
                path = self._folder(trainer) / f"cycle_{number:02d}.safetensors"
                with module.evaluated_weights():
                    save_snapshot(path, pl_module.state_dict(), header, beside)
                write_json(self._folder(trainer) / INDEX, {"members": self._names(trainer, number)})

    def _names(self, trainer: pl.Trainer, count: int) -> list[str]:
        """Names of the files of the last snapshots, of ``count`` that were taken."""
        first = 1 if self.last is None else max(1, count - self.last + 1)
        names = [f"cycle_{number:02d}.safetensors" for number in range(first, count + 1)]
        return [name for name in names if (self._folder(trainer) / name).is_file()]

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the ensemble."""
        trainer.strategy.barrier()  # rank 0 has written
        if trainer.fast_dev_run or not (self._folder(trainer) / INDEX).exists():  # type: ignore[attr-defined]
            return
        if not isinstance(pl_module, ClassificationModule):  # without labels there is nothing to judge
            return
        ensemble = EnsembleClassifier.from_snapshots(self._folder(trainer), pl_module).to(pl_module.device)
        names = [snapshot.path.name for snapshot in find_snapshots(self._folder(trainer))]
        soup = self._soup(trainer, ensemble) if self.soup and len(names) > 1 and ensemble.one_input else None
        everyone = ensemble if soup is None else EnsembleClassifier([*ensemble.members, soup])  # the soup comes last
        everyone.trainer = trainer  # whose data has the pictures again, for members of other sizes
        found = over_validation(trainer, everyone, everyone.member_probabilities)
        if found is None:
            return
        members, labels, task = found.probabilities[:, : len(names)], found.labels, pl_module.task
        said = torch.stack([task.predicted(members[:, m]) for m in range(len(names))], dim=1)
        self.result = {
            "metric": task.best_metric[0].removeprefix("val_"),
            "members": names,
            "val_images": len(labels),
            "last": [task.judge(mean, labels) for mean in means_of_last(members)],
            "single": [task.judge(members[:, m], labels) for m in range(len(names))],
            "soup": None if soup is None else task.judge(found.probabilities[:, -1], labels),
            "disagreement": disagreement(members, said),
        }
        self._report(trainer, pl_module)

    def _soup(self, trainer: pl.Trainer, ensemble: EnsembleClassifier) -> ClassificationModule:
        """Return the mean of the members' weights."""
        soup = copy.deepcopy(ensemble.first)
        soup.load_state_dict(average_weights([member.state_dict() for member in ensemble.members]))
        if (data := image_data_of(trainer)) is not None:
            loader, _ = data.rehearsal_dataloaders()
            with trainer.precision_plugin.forward_context():
                batches = (on_device(trainer, batch)[0] for batch in loader)
                reestimate_statistics(soup, batches, mean=lambda t: trainer.strategy.reduce(t, reduce_op="mean"))
        return soup.eval()

    def _report(self, trainer: pl.Trainer, module: ClassificationModule) -> None:
        assert self.result is not None
        metric, whole = self.result["metric"], self.result["last"][-1]
        figures = {f"ensemble_val_{metric}": whole[metric], "ensemble_val_loss": whole["loss"]}
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
        if not trainer.is_global_zero:
            return
        write_json(self._folder(trainer) / INDEX, self.result)
        curve = CycleCurve(
            [row["train_loss"] for row in self.history],
            [row["val_loss"] for row in self.history],
            [end for end, _ in self.ends(module)],
        )
        path = self._folder(trainer).parent / "figures" / "snapshots.png"
        save_figure(snapshot_figure(self.result, curve), path, key="snapshots", loggers=trainer.loggers)

    def _folder(self, trainer: pl.Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.FOLDER
