"""All that records a run, in one list: for the command line, and as one callback for any trainer."""

from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger, WandbLogger
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.error_analysis import ErrorAnalysis
from lightning_recipes.callbacks.gradcam import MisclassifiedGradCAM
from lightning_recipes.callbacks.recording.first_loss import FirstLoss
from lightning_recipes.callbacks.recording.made_images import MadeImages
from lightning_recipes.callbacks.recording.pretraining_figures import PretrainingFigures
from lightning_recipes.callbacks.recording.run_figures import RunFigures
from lightning_recipes.callbacks.recording.run_report import RunReport
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.callbacks.training_doctor import TrainingDoctor
from lightning_recipes.callbacks.wandb_tracker import WandbTracker
from lightning_recipes.compat.lightning import write_into
from lightning_recipes.engine.trainer_defaults import (
    is_default_checkpoint,
    is_default_logger,
    remove_empty_folder,
)
from lightning_recipes.errors import UserError
from lightning_recipes.loggers.csv import MetricsCSV
from lightning_recipes.loggers.wandb import run_ids_in
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.run.environment import environment
from lightning_recipes.run.folder import RunFolder, choose_run_folder, holds_run

__all__ = ["RunRecorder"]


class RunRecorder(pl.Callback):
    """Keep all of a fit in one folder, as ``lightning-recipes fit`` does.

    ``trainer = L.Trainer(callbacks=[RunRecorder("runs/x"), Stages([...])])``, then ``trainer.fit(model,
    datamodule=data)``, writes ``checkpoints/best.ckpt`` and ``last.ckpt``, ``metrics.csv``, ``summary.json``,
    ``val_predictions.csv``, ``errors.json``, ``label_issues.csv``, ``symptoms.json``, ``figures/`` with GradCAM,
    ``report.html``, ``environment.json`` and ``wandb/``. The fit goes on by ``trainer.fit(model, datamodule=data,
    ckpt_path="runs/x/checkpoints/last.ckpt")``; a folder that holds a run is refused otherwise.

    When the fit begins, it gives the trainer :class:`BestCheckpoint`, :class:`LastCheckpoint`, :class:`ErrorAnalysis`,
    :class:`MisclassifiedGradCAM`, :class:`TrainingDoctor`, :class:`RunSummary`, the figures, the report, and
    :class:`WandbTracker`, which writes offline unless told otherwise. One of these that stands in the trainer's own
    list takes the recorder's place, but for the summary. The trainer's options mean what they mean on the command line:
    without ``enable_checkpointing`` there are no checkpoints; with ``logger=False``, or only loggers of other kinds, no
    W&B; ``fast_dev_run`` writes nothing. Your own ``ModelCheckpoint`` and loggers write beside; the ones that Lightning
    adds by itself are left out. What the trainer validates, tests or predicts after the fit is no part of the run.

    There is no ``config.yaml``, as there is no recipe: the checkpoints hold the arguments of model and data,
    ``environment.json`` the script and its commit; the trainer's options and other callbacks are written down nowhere,
    and a fit that goes on is not compared with the one before. Classes have the names that the module knows
    (``class_names=data.classes``), or numbers.

    When: always. Not with: ``lightning-recipes fit``, which has it already.

    Args:
        folder: The run's; made if it is not there. The trainer's ``default_root_dir`` while it fits.
        recipe: What the run is called in the summary (default: the folder's name).
        best_checkpoint: The judge, such as ``BestCheckpoint("val_loss", "min")`` (default: by ``val_accuracy``).
        last_checkpoint: In place of the recorder's own, and so on.
        errors: Likewise.
        gradcam: Likewise.
        wandb: Likewise.
        claim: Keep other processes out of the folder and refuse a run that is there; the command line has done so.

    Raises:
        UserError: At the start of a fit: the folder holds a run or cannot be used; there is a second recorder, or a
            summary beside it; the trainer is barebones; a classification module is trained without a data module.
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: str = "",
        *,
        best_checkpoint: BestCheckpoint | None = None,
        last_checkpoint: LastCheckpoint | None = None,
        errors: ErrorAnalysis | None = None,
        gradcam: MisclassifiedGradCAM | None = None,
        wandb: WandbTracker | None = None,
        claim: bool = True,
    ) -> None:
        self.folder, self.recipe, self.claim = Path(folder), recipe, claim
        self.tracker = wandb or WandbTracker()
        self.analysis: list[pl.Callback] = [errors or ErrorAnalysis(), gradcam or MisclassifiedGradCAM()]
        written = str(self.folder)
        self.first_loss = FirstLoss()
        self.doctor = TrainingDoctor()
        summary = RunSummary(written, recipe or self.folder.name)
        figures = [RunFigures(written), MadeImages(written), PretrainingFigures(written)]
        self.written = [summary, *figures, RunReport(written)]
        self.saving: list[pl.Callback] = [best_checkpoint or BestCheckpoint(), last_checkpoint or LastCheckpoint()]
        self.metrics = MetricsCSV(written)
        self._claimed: RunFolder | None = None
        self._holds_run = False  # when it was claimed
        self._trainer: pl.Trainer | None = None  # whose run the folder holds
        self._root_before: str | None = None

    # The list.

    def callbacks(self, given: Sequence[pl.Callback], *, checkpoints: bool, tracked: bool) -> list[pl.Callback]:
        """Return a trainer's callbacks with those that record the run, in the order in which they act.

        Args:
            given: The trainer's.
            checkpoints: Whether the run keeps any.
            tracked: Whether W&B tracks it.
        """
        others = [callback for callback in given if not isinstance(callback, Checkpoint)]
        theirs = [callback for callback in given if isinstance(callback, Checkpoint)]
        tracker = self._unless_given([self.tracker] if tracked else [], given)
        if tracker:
            self._name_wandb_run()
        return [
            *tracker,  # sees gradients as they are, before others change them
            *others,
            *self._unless_given([*self.analysis, self.doctor], given),
            self.first_loss,
            *self.written,  # the summary reads what is above it, the report what the summary wrote
            self,
            *theirs,
            *self._unless_given(self.saving if checkpoints else [], given),  # last: they save the others' state
        ]

    def loggers(self, given: Sequence[Logger]) -> list[Logger]:
        """Return a trainer's loggers with the run's ``metrics.csv`` before them."""
        return [self.metrics, *given]

    def _unless_given(self, members: Sequence[pl.Callback], given: Sequence[pl.Callback]) -> list[pl.Callback]:
        kinds = (BestCheckpoint, LastCheckpoint, ErrorAnalysis, MisclassifiedGradCAM, TrainingDoctor, WandbTracker)
        there = tuple(kind for kind in kinds if any(isinstance(callback, kind) for callback in given))
        return [member for member in members if not isinstance(member, there)]

    def _name_wandb_run(self) -> None:
        """Be the run of W&B that the folder knows, under the name of this one."""
        if self.recipe:
            self.tracker.settings["name"] = self.tracker.settings["name"] or f"{self.recipe}/{self.folder.name}"
        self.tracker.run_id = next(iter(run_ids_in(self.folder)), self.tracker.run_id)

    # Into the trainer and out of it.

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Claim the folder and join the trainer's callbacks and loggers, sooner than a checkpoint is read."""
        if stage != "fit":
            self._stand_aside(trainer)
            return
        default = [logger for logger in trainer.loggers if is_default_logger(trainer, logger)]
        for logger in default if trainer.is_global_zero else []:
            remove_empty_folder(logger)
        self._refuse(trainer, pl_module)
        if self.claim and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            _refuse_together(trainer, self._claim() if trainer.is_global_zero else "")
        self._join(trainer, pl_module, default)

    def _join(self, trainer: pl.Trainer, module: pl.LightningModule, default: Sequence[Logger]) -> None:
        there: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        own = [self, self.tracker, self.first_loss, self.doctor, *self.analysis, *self.written, *self.saving]
        tracked = bool(default) or self.tracker in there or any(isinstance(one, WandbLogger) for one in trainer.loggers)
        given = [callback for callback in there if callback not in own and not is_default_checkpoint(callback)]
        callbacks = self.callbacks(given, checkpoints=bool(trainer.checkpoint_callbacks), tracked=tracked)
        if trainer.default_root_dir != str(self.folder):
            self._root_before = trainer.default_root_dir
            write_into(trainer, str(self.folder))
        if not trainer.fast_dev_run and self.metrics not in trainer.loggers:  # type: ignore[attr-defined]
            trainer.loggers = self.loggers([logger for logger in trainer.loggers if logger not in default])
        missing = [callback for callback in callbacks if callback not in there]
        if missing:  # not on the command line, whose trainer was made with all of them
            trainer.callbacks = callbacks  # type: ignore[attr-defined]
        for callback in missing:  # Lightning goes through the list that it had
            callback.log, callback.log_dict = module.log, module.log_dict  # type: ignore[attr-defined]
            callback.setup(trainer, module, "fit")

    def _stand_aside(self, trainer: pl.Trainer) -> None:
        """Leave the run as it is while its trainer does something else."""
        acting = [callback for callback in self.analysis if isinstance(callback, MisclassifiedGradCAM)]
        trainer.callbacks = [one for one in trainer.callbacks if one not in acting]  # type: ignore[attr-defined]
        trainer.loggers = [logger for logger in trainer.loggers if logger is not self.metrics]
        if self._root_before is not None:
            write_into(trainer, self._root_before)

    def _refuse(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        there: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if sum(isinstance(callback, RunRecorder) for callback in there) > 1:
            raise UserError("trainer.callbacks: RunRecorder is there more than once; keep one")
        for callback in there:
            if (
                isinstance(callback, (RunSummary, RunFigures, MadeImages, PretrainingFigures, RunReport))
                and callback not in self.written
            ):
                kind = type(callback).__name__
                raise UserError(f"trainer.callbacks: {kind} is a part of RunRecorder, which is there; leave it out")
        if trainer.barebones:
            raise UserError("trainer.barebones: a run keeps logs, checkpoints and figures; leave it out")
        if isinstance(module, ClassificationModule) and trainer.datamodule is None:  # type: ignore[attr-defined]
            raise UserError("RunRecorder: needs a data module; give one, as in trainer.fit(model, datamodule=data)")

    # The folder.

    def _claim(self) -> str:
        """Keep others out of the folder; return what is in the way."""
        self._holds_run = holds_run(self.folder)
        try:
            # Whether it may hold a run is settled when Lightning says from which checkpoint it goes on.
            self._claimed = choose_run_folder(str(self.folder), self.folder.name, resume=self._holds_run)
        except UserError as error:
            return str(error).replace("run_dir:", "RunRecorder.folder:").replace(" by --run_dir", "")
        return ""

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a folder that holds another run, then write ``environment.json``."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if self.claim and self._trainer is not trainer:
            _refuse_together(trainer, self._used(trainer.ckpt_path) if trainer.is_global_zero else "")
        self._trainer = trainer
        if trainer.is_global_zero:
            write_json(self.folder / "environment.json", environment(Path.cwd()))

    def _used(self, checkpoint: str | Path | None) -> str:
        if not self._holds_run:
            return ""
        if checkpoint is not None and Path(checkpoint).resolve().is_relative_to(self.folder.resolve()):
            return ""
        last = self.folder / "checkpoints" / "last.ckpt"
        return (
            f"RunRecorder.folder: '{self.folder}' holds a run; go on with it by trainer.fit(..., ckpt_path='{last}'), "
            "or name another folder"
        )

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let go of the folder."""
        self._release(failed=False)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Let go of the folder; where nothing was trained by then, it is as before."""
        self._release(failed=True)

    def _release(self, *, failed: bool) -> None:
        if self._claimed is not None:
            self._claimed.release(failed=failed)
            self._claimed = None


def _refuse_together(trainer: pl.Trainer, problem: str) -> None:
    """Raise on all processes what the first one found, so that none of them waits for it."""
    if problem := trainer.strategy.broadcast(problem):
        raise UserError(problem)
