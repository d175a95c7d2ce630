"""W&B: a page of the run with everything that its folder holds, which training never waits for."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.engine.best import best_of
from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.loggers.wandb import BackgroundWandbLogger, run_ids_in
from lightning_recipes.loggers.wandb_page import log_artifacts, log_tables
from lightning_recipes.modules.keyed_steps import is_trial
from lightning_recipes.optim.gradients import hides_gradients, norms_by_group
from lightning_recipes.optim.parameter_groups import named_groups
from lightning_recipes.run.environment import environment
from lightning_recipes.run.reader import RunContents
from lightning_recipes.stages.plan import Plan
from lightning_recipes.stages.step_count import logs_this_step

__all__ = ["WandbTracker"]

BY_STAGE = ("train_loss", "train_accuracy", "train_f1", "val_loss", "val_accuracy", "val_map", "val_f1")


class WandbTracker(pl.Callback):
    """Track a fit in Weights & Biases.

    The config holds the recipe, the environment and the commit. While it trains: all that is logged, the same loss and
    accuracy by stage (``head/val_loss``), every layer group's rate (``lr/<group>``) and gradient norm before what
    callbacks behind this one do to it (``gradient_norm/<group>``) every ``trainer.log_every_n_steps``, images a second
    (``throughput/images_per_second``), and pictures as they are drawn. At the end: tables that can be filtered of the
    validation predictions, the confusion, the mistakes with their GradCAM, and doubtful labels; the summary; and the
    best checkpoint and the snapshots as artifacts with aliases, which refer to the files in the run's folder.

    Rates and norms go to every logger of the trainer, ``metrics.csv`` among them.

    Nothing is sent anywhere by default: the run is written to ``wandb/`` in the trainer's folder, and ``wandb sync``
    makes the same page of it later. W&B works in a thread of its own: where it is slow, down, full or without a key,
    training goes on at its speed. A run that is resumed from a checkpoint stays one run; offline, each session is a
    file, and ``wandb sync`` puts the files of one run together.

    A W&B logger that the trainer has already is used, with whatever it waits for.

    Source: Biewald (2020), "Experiment Tracking with Weights and Biases".

    When: always. Not with: paths of images or a recipe that must not leave the machine, once it is ``online``.

    Args:
        project: Of W&B.
        name: Of the run (default: the last two folders that it lies in).
        entity: User or team of W&B (default: the key's own).
        mode: ``offline``, ``online`` or ``disabled`` (default: the variable ``WANDB_MODE``, or offline).
        tags: Of the run.
        group: Of runs that W&B shows together (default: none; the runs of a sweep: the name of its folder).
        artifacts: Whether checkpoints and snapshots are tracked too.
        most_rows: Rows of a table, >= 1; of predictions the wrong ones come first.
        patience: Longest wait for W&B, at its start (training does not wait) and at the end (it does), in seconds, > 0.

    Raises:
        UserError: A value cannot work.
    """

    def __init__(
        self,
        project: str = "lightning-recipes",
        name: str | None = None,
        entity: str | None = None,
        mode: Literal["offline", "online", "disabled"] | None = None,
        tags: Sequence[str] = (),
        group: str | None = None,
        artifacts: bool = True,
        most_rows: int = 10_000,
        patience: float = 30.0,
    ) -> None:
        modes = ("offline", "online", "disabled")
        refuse_bad_values(
            "WandbTracker",
            ("mode", mode, mode is None or mode in modes, f"one of {', '.join(modes)}"),
            ("most_rows", most_rows, most_rows >= 1, "a number >= 1"),
            ("patience", patience, patience > 0, "a number of seconds > 0"),
        )
        self.settings = {"project": project, "name": name, "entity": entity, "tags": list(tags), "group": group}
        self.mode, self.artifacts, self.most_rows, self.patience = mode, artifacts, most_rows, patience
        self.run_id = uuid4().hex[:8]
        self.images, self.seconds, self._since = 0, 0.0, 0.0
        self._logger: WandbLogger | None = None
        self._restored: str | None = None
        self._opened = False
        self._validated = False
        self._epoch: int | None = None  # one that is over, but not yet logged by stage

    # One run, whichever session.

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return which run of W&B this is."""
        return {"run_id": self.run_id}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Be the same run, if it is in this folder; a fit from another run's checkpoint is one of its own."""
        self._restored = state_dict["run_id"]

    def _open(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Give the trainer a W&B logger, unless it has one.

        Not sooner than at the start of the training: until then checkpoints may take their folder from a logger, and
        the checkpoint that the fit goes on from may not have been read.
        """
        self._logger = next((logger for logger in trainer.loggers if isinstance(logger, WandbLogger)), None)
        if self._logger is not None:
            return
        folder = Path(trainer.default_root_dir).resolve()
        if self._restored in run_ids_in(folder):
            self.run_id = str(self._restored)
        elif self._opened:  # by an earlier trainer, whose run was another
            self.run_id = uuid4().hex[:8]
        self._restored, self._opened = None, True
        settings: dict[str, Any] = {**self.settings, "name": self.settings["name"] or "/".join(folder.parts[-2:])}
        self._logger = BackgroundWandbLogger(
            str(folder), mode=self.mode, patience=self.patience, id=self.run_id, **settings
        )
        self._logger.log_hyperparams(module.hparams_initial)
        trainer.loggers = [*trainer.loggers, self._logger]

    @rank_zero_only
    def _do(self, task: Callable[[Any], object]) -> None:
        """Have something done with W&B's run, in its turn where it has one."""
        if isinstance(self._logger, BackgroundWandbLogger):
            self._logger.submit(task)
        elif self._logger is not None:
            task(self._logger.experiment)

    # While it trains.

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the run, put recipe, environment and commit into its config, and start the clock."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._open(trainer, pl_module)
        contents, here = RunContents(Path(trainer.default_root_dir)), Path.cwd()

        def describe(run: Any) -> None:
            config = {"environment": environment(here), "recipe": contents.recipe}
            run.config.update({name: value for name, value in config.items() if value}, allow_val_change=True)

        self._do(describe)
        self._since = time.monotonic()

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log rates and gradient norms."""
        if is_trial(pl_module) or not logs_this_step(trainer):
            return
        norms = norms_by_group(optimizer)
        rates = {name: float(group["lr"]) for group, name in named_groups(optimizer) if name in norms}
        pl_module.log_dict({f"lr/{name}": rate for name, rate in rates.items()})
        if hides_gradients(trainer) is None:
            pl_module.log_dict({f"gradient_norm/{name}": norm for name, norm in norms.items()})

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images and seconds."""
        now = time.monotonic()
        labels = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else ()  # a module of anyone's
        self.images, self.seconds, self._since = self.images + len(labels), self.seconds + now - self._since, now

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note it, and leave it out of the time."""
        self._since, self._validated = time.monotonic(), not trainer.sanity_checking

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch before by its stage, and start the clock."""
        self._log_epoch(trainer, pl_module)
        self.images, self.seconds, self._since = 0, 0.0, time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that an epoch is over; its training figures are there when the next begins."""
        self._epoch = trainer.current_epoch

    def _log_epoch(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._epoch is None:
            return
        plan, figures = getattr(module, "plan", None), trainer.callback_metrics
        stage = plan.at(self._epoch).name if isinstance(plan, Plan) else "all"
        names = [name for name in BY_STAGE if name in figures and (self._validated or not name.startswith("val_"))]
        row: dict[str, float] = {f"{stage}/{name}": float(figures[name]) for name in names}
        row |= {"epoch": self._epoch, "trainer/global_step": trainer.global_step}
        if self.images and self.seconds > 0:
            row["throughput/images_per_second"] = self.images * trainer.world_size / self.seconds
        self._epoch, self._validated = None, False
        self._do(lambda run: run.log(row))

    # At the end.

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Log what the run's folder holds, when all others have written there."""
        if stage == "fit":
            self._end(trainer, pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Log what there is of a run that was stopped."""
        self._end(trainer, pl_module)

    def _end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._logger is None or not trainer.global_step > 0:
            return
        self._log_epoch(trainer, module)
        contents, step = RunContents(Path(trainer.default_root_dir)), trainer.global_step
        best = best_of(trainer)

        def log_all(run: Any) -> None:
            log_tables(run, contents, step=step, most_rows=self.most_rows)
            if self.artifacts:
                log_artifacts(run, contents, None if best is None else best.path)

        if isinstance(self._logger, BackgroundWandbLogger):
            self._logger.at_end(log_all)  # the trainer finalizes its loggers last
        else:
            self._do(log_all)
        self._logger = None
