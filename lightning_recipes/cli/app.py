"""The command line proper: LightningCLI with run folders, recipes that name themselves, and errors of one line."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_recipes.atomic_io import failed_write
from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.epoch_lines import EpochLines
from lightning_recipes.callbacks.error_analysis import ErrorAnalysis
from lightning_recipes.callbacks.gradcam import MisclassifiedGradCAM
from lightning_recipes.callbacks.recording.run_figures import RunFigures
from lightning_recipes.callbacks.recording.run_report import RunReport
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.callbacks.recording.save_recipe import SaveRecipe
from lightning_recipes.callbacks.stop_on_signal import StopOnSignal
from lightning_recipes.callbacks.wandb_tracker import WandbTracker
from lightning_recipes.cli.commands.evaluation import (
    EVALUATIONS,
    chosen_sections,
    given_on_the_command_line,
    make_data,
    make_model,
    require_same_classes,
    use_typed_input,
)
from lightning_recipes.cli.commands.lr_find import ONE_STEP, load_weights, only_the_finder
from lightning_recipes.cli.commands.trainer import RecipesTrainer
from lightning_recipes.cli.config_checks import check_config
from lightning_recipes.cli.console import (
    print_evaluation,
    print_explanation,
    print_gain,
    print_range_test,
    print_stopped,
    print_summary,
    write_predictions,
)
from lightning_recipes.cli.error_messages import one_line, refuse_null
from lightning_recipes.cli.packaged import name_recipes
from lightning_recipes.cli.trainer_checks import make_trainer, refuse_callbacks_twice, refuse_endless
from lightning_recipes.components import import_object
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.malloc import keep_freed_memory
from lightning_recipes.engine.predictions import gather_predictions, names_of
from lightning_recipes.engine.stop_signals import Stopped, StopSignals
from lightning_recipes.errors import UserError
from lightning_recipes.loggers.csv import MetricsCSV
from lightning_recipes.loggers.wandb import run_ids_in
from lightning_recipes.models.checkpoint_file import read_checkpoint
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.tta import VIEWS, MultiViewClassifier
from lightning_recipes.run.folder import choose_run_folder
from lightning_recipes.run.resume.folder import refuse_what_cannot_be
from lightning_recipes.run.resume.last_checkpoint import last_checkpoint, nothing_left

__all__ = ["RecipesCLI", "run"]

RUN_DIR_OF_MAIN_PROCESS = "LIGHTNING_RECIPES_RUN_DIR"
SUBCOMMANDS = ("fit", "validate", "test", "predict", "lr_find", "explain")
TOP_LEVEL = (
    "seed_everything",
    "recipe",
    "run_dir",
    "views",
    "data",
    "model",
    "trainer",
    "best_checkpoint",
    "last_checkpoint",
    "errors",
    "gradcam",
    "wandb",
    "ckpt_path",
)
OF_LR_FIND = ("stage", "min_lr", "max_lr", "steps", "orders")


class RecipesCLI(LightningCLI):
    """LightningCLI for recipes.

    A run lives in a folder of its own; ``config.yaml`` in it makes the run again. Unlike LightningCLI's, a checkpoint
    does not overrule the recipe or the command line.
    """

    run_folder: Path

    def __init__(self, args: Sequence[str], held: ExitStack, signals: StopSignals) -> None:
        self.held, self.signals = held, signals
        self.words = list(args)
        quiet = {"exit_on_error": False}
        super().__init__(
            model_class=ImageClassifier,
            trainer_class=RecipesTrainer,
            datamodule_class=ImageDataModule,
            save_config_callback=None,
            trainer_defaults={"log_every_n_steps": 10, "deterministic": "warn", "enable_model_summary": False},
            seed_everything_default=0,
            parser_kwargs={**quiet, **{name: dict(quiet) for name in SUBCOMMANDS}},
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=list(args),
            auto_configure_optimizers=False,
        )

    @staticmethod
    @override
    def subcommands() -> dict[str, set[str]]:
        """Return each command with the arguments that are not for its user."""
        return {
            **LightningCLI.subcommands(),
            "lr_find": {"model", "datamodule"},
            "explain": {"model", "datamodule"},
        }

    @override
    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add trainer, model and data; model and data may come as plain keys of our own classes."""
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})
        parser.add_lightning_class_args(self._model_class, "model", subclass_mode=True)
        parser.add_lightning_class_args(self._datamodule_class, "data", subclass_mode=True)

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's own keys, the two checkpoints, and what the model takes from the data."""
        parser.add_argument("--recipe", type=str | None, default=None, help="Name of the run (default: the file's).")
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="Folder of the run; one that holds a run is only gone on with, by --ckpt_path last"
            " (default: runs/<recipe>/<number>).",
        )
        parser.add_argument(
            "--views",
            type=str | None,
            default=None,
            help=f"Views of each image whose probabilities validate, test and predict average: {', '.join(VIEWS)}"
            " (default: the image alone).",
        )
        parser.add_lightning_class_args(BestCheckpoint, "best_checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(ErrorAnalysis, "errors")
        parser.add_lightning_class_args(MisclassifiedGradCAM, "gradcam")
        parser.add_lightning_class_args(WandbTracker, "wandb")
        for source, target in (
            ("num_classes", "num_classes"),
            ("classes", "class_names"),
            ("class_counts", "class_counts"),
            ("image_size", "image_size"),
        ):
            parser.link_arguments(f"data.{source}", f"model.init_args.{target}", apply_on="instantiate")

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Let the checkpoint say what no recipe says: which class it is of, and which data it was judged on."""
        command = self.words[0] if self.words else ""
        if command in EVALUATIONS and (sections := chosen_sections(self.words)):
            self._subcommand_parsers[command].set_defaults(sections)
        super().parse_arguments(parser, args)
        check_config(self.config[self.config.subcommand])

    @override
    def instantiate_classes(self) -> None:
        """Make the model of an evaluation from its file alone; LightningCLI would make it from a recipe."""
        if self.subcommand not in EVALUATIONS:
            super().instantiate_classes()
            return
        own = self.config[self.subcommand]
        model, data = own.pop("model"), own.pop("data")
        own.model = own.data = None
        self.config_init = self.parser.instantiate_classes(self.config)
        own.model, own.data = model, data
        given = given_on_the_command_line(self.words)
        self.model = make_model(own.ckpt_path, model, given)
        self.datamodule = make_data(data)
        use_typed_input(self.model, self.datamodule, given)
        require_same_classes(self.model, self.datamodule, needed=self.subcommand != "predict")
        self.trainer = self.instantiate_trainer()

    @override
    def _parse_ckpt_path(self) -> None:
        """Leave recipe and command line as they are: LightningCLI would put the checkpoint's values over both."""

    @override
    def before_instantiate_classes(self) -> None:
        """Settle the run's folder and the checkpoint before anything slow is made."""
        config = self.config[self.subcommand]
        for key in ("model", "data") if self.subcommand not in EVALUATIONS else ():
            refuse_null(key, import_object(key, config[key].class_path), config[key].get("init_args", {}))
        files = [Path(str(path)) for path in config.config or []]
        config.recipe = config.recipe or (files[-1].stem if files else "run")
        given = config.ckpt_path
        if self.subcommand == "fit":
            self.run_folder = self._choose_run_folder(config, files, resume=given == "last")
            config.ckpt_path = _checkpoint_to_go_on_from(self.run_folder) if given == "last" else given
        elif self.subcommand == "lr_find":
            self.run_folder = self._choose_run_folder(config, files, resume=False)
        elif given is None:
            raise UserError(
                f"ckpt_path: {self.subcommand} needs the weights to use; give --ckpt_path RUN/checkpoints/best.ckpt"
                + ("" if self.subcommand == "explain" else ", or RUN/snapshots")
            )
        else:
            path = Path(given)
            if path.is_dir() and self.subcommand == "explain":
                raise UserError("ckpt_path: explain takes one network; give a checkpoint file in place of the folder")
            of_run = path.resolve().parent if path.is_dir() else path.parent.parent
            own_place = path.is_dir() or path.parent.name in ("checkpoints", "snapshots")
            self.run_folder = Path(config.run_dir or (of_run if own_place else "."))
        if config.ckpt_path is not None:
            if not Path(config.ckpt_path).exists():
                raise UserError(
                    f"ckpt_path: '{config.ckpt_path}' does not exist; give a checkpoint file, or last for fit"
                )
            config.ckpt_path = str(config.ckpt_path)
            if self.subcommand == "fit":
                if "optimizer_states" not in read_checkpoint(config.ckpt_path):
                    raise UserError(
                        f"ckpt_path: '{config.ckpt_path}' is a finished model, not a point to go on from; give "
                        "last.ckpt, or begin from it by --model.pretrained"
                    )
                refuse_what_cannot_be(Path(config.ckpt_path), self._recipe_text())

    def _choose_run_folder(self, config: Any, files: Sequence[Path], *, resume: bool) -> Path:
        if "LOCAL_RANK" in os.environ and RUN_DIR_OF_MAIN_PROCESS in os.environ:
            return Path(os.environ[RUN_DIR_OF_MAIN_PROCESS])  # a process that Lightning started: the folder is chosen
        # What torchrun or srun start side by side is one training: none of them may keep the others out.
        alone = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1) == 1
        recipe = files[-1] if files else None
        folder = choose_run_folder(config.run_dir, config.recipe, config=recipe, resume=resume, claim=alone)
        os.environ[RUN_DIR_OF_MAIN_PROCESS] = str(self.held.enter_context(folder).path)
        return folder.path

    @override
    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Add what every run has: its folder, its checkpoints, its files and its loggers."""
        config = self._get(self.config_init, "trainer")
        callbacks = config["callbacks"] or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        if (
            not any(isinstance(callback, ProgressBar) for callback in callbacks)
            and config["enable_progress_bar"] is not False
        ):
            callbacks.append(_progress_bar())
        refuse_callbacks_twice(callbacks)
        logger: Any = False
        if self.subcommand == "lr_find":
            own = self.config[self.subcommand]
            settings = {name: own[name] for name in OF_LR_FIND if name != "stage"}
            callbacks = only_the_finder(callbacks, stage=own.stage, settings=settings)
            config = {**config, **ONE_STEP}
        if self.subcommand == "explain":
            bars = [callback for callback in callbacks if isinstance(callback, ProgressBar)]
            callbacks = [*bars, self._get(self.config_init, "gradcam")]
        if self.subcommand == "fit":
            if config["barebones"]:
                raise UserError("trainer.barebones: a run keeps logs, checkpoints and figures; leave it out")
            refuse_endless(callbacks, config)
            own = self.config[self.subcommand]
            for key, kind in (("errors", ErrorAnalysis), ("gradcam", MisclassifiedGradCAM)):
                if not any(isinstance(callback, kind) for callback in callbacks):
                    callbacks.append(self._get(self.config_init, key))
            callbacks += [RunSummary(str(self.run_folder), own.recipe), RunFigures(str(self.run_folder))]
            callbacks += [
                RunReport(str(self.run_folder)),
                SaveRecipe(self.run_folder, self._recipe_text(), own.ckpt_path),
            ]
            if config["enable_checkpointing"] is not False:
                callbacks += [self._get(self.config_init, key) for key in ("best_checkpoint", "last_checkpoint")]
            logger = self._loggers(config["logger"])
            if config["logger"] in (None, True) or any(isinstance(one, WandbLogger) for one in logger):
                callbacks = self._tracked(callbacks)
        options = {**config, "callbacks": callbacks, "logger": logger, "default_root_dir": str(self.run_folder)}
        trainer = make_trainer(self.trainer_class, {**options, **kwargs})
        # `deterministic` also makes PyTorch fill every new tensor before it is written to: that is for debugging.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if isinstance(trainer.accelerator, CPUAccelerator) and not self.datamodule.hparams.get("num_workers"):
            keep_freed_memory()  # not with workers: a fork of so much kept memory copies it page by page
        return trainer

    def _tracked(self, callbacks: list[pl.Callback]) -> list[pl.Callback]:
        """Track the run in W&B, as the run that the folder knows; first of all, to see gradients as they are."""
        if any(isinstance(callback, WandbTracker) for callback in callbacks):
            return callbacks
        tracker = self._get(self.config_init, "wandb")
        tracker.settings["name"] = tracker.settings["name"] or f"{self.config_init.fit.recipe}/{self.run_folder.name}"
        tracker.run_id = next(iter(run_ids_in(self.run_folder)), tracker.run_id)
        return [tracker, *callbacks]

    def _loggers(self, chosen: Any) -> list[Logger]:
        others = [] if chosen is None or isinstance(chosen, bool) else chosen
        return [MetricsCSV(str(self.run_folder)), *(others if isinstance(others, list) else [others])]

    def _recipe_text(self) -> str:
        """The recipe as it was run; without a folder or a checkpoint, so that it makes a run of its own."""
        config = self.config[self.subcommand].clone()
        for key in ("run_dir", "ckpt_path", "config"):
            if key in config:
                config[key] = None
        text: str = self._parser(self.subcommand).dump(config, skip_none=False, skip_validation=True)
        return text.rstrip() + "\n"

    # Commands.

    def fit(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Train, and say what was reached, or how a run that was interrupted goes on."""
        stop = StopOnSignal(self.signals)
        self.trainer.callbacks.insert(0, stop)  # type: ignore[attr-defined]
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, LastCheckpoint):
                callback.asked_for = lambda: bool(stop.stopping)
        try:
            self.trainer.fit(model, **kwargs)
        except Stopped as stopped:
            if self.trainer.strategy.launcher is not None and not stopped.together:
                self.trainer.strategy.launcher.kill(signal.SIGKILL)  # they would wait for this process
            if self.trainer.is_global_zero:
                print_stopped(self.run_folder, stopped.signal.name)
            raise
        if not self.trainer.is_global_zero:
            return
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            print("fast_dev_run: the recipe works from end to end; nothing was written")
            return
        print_summary(self.run_folder)
        if kwargs.get("ckpt_path") is not None and not stop.trained:
            print(nothing_left(self.trainer.current_epoch))

    def lr_find(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Test, and print what is suggested."""
        checkpoint = self.config[self.subcommand].ckpt_path
        if checkpoint is not None:
            load_weights(model, Path(checkpoint))
        self.trainer.fit(model, datamodule=self.datamodule)
        if self.trainer.is_global_zero:
            print_range_test(self.run_folder)

    def explain(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Draw what the checkpoint gets wrong."""
        self.trainer.validate(model, datamodule=self.datamodule, verbose=False)
        if self.trainer.is_global_zero:
            print_explanation(self.run_folder)

    def validate(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Evaluate and print."""
        self._evaluate("validate", self.trainer.validate, model, kwargs)

    def test(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Evaluate and print."""
        self._evaluate("test", self.trainer.test, model, kwargs)

    def _evaluate(self, command: str, evaluate: Callable[..., Any], model: pl.LightningModule, kwargs: Any) -> None:
        asked_for = self._with_views(model)
        print_evaluation(command, evaluate(asked_for, verbose=False, datamodule=self.datamodule))
        if isinstance(asked_for, MultiViewClassifier) and self.trainer.world_size == 1:
            print_gain(*asked_for.gain())

    def predict(self, model: pl.LightningModule, **kwargs: Any) -> None:
        """Write ``predictions.csv``."""
        outputs = self.trainer.predict(self._with_views(model), datamodule=self.datamodule)
        batches: list[Any] = outputs or []
        rows = gather_predictions(batches, self.trainer.world_size)
        if self.trainer.is_global_zero:
            write_predictions(self.run_folder / "predictions.csv", rows, names_of(model))  # type: ignore[arg-type]

    def _with_views(self, model: pl.LightningModule) -> pl.LightningModule:
        """Return the model, or what averages several views of it."""
        views = self.config[self.subcommand].views
        return model if views is None else MultiViewClassifier(model, views)  # type: ignore[arg-type]


def _progress_bar() -> pl.Callback:
    from lightning_recipes.callbacks.progress_bar import OneLineProgressBar

    # Rich redraws; where nobody watches, a log file wants lines.
    return OneLineProgressBar(leave=False) if sys.stdout.isatty() else EpochLines()


def _checkpoint_to_go_on_from(folder: Path) -> Path | None:
    """Return the run's last checkpoint that can be used, and say on the first process what is done."""
    path, said = last_checkpoint(folder)
    if getattr(rank_zero_only, "rank", 0) == 0:
        print(*said, sep="\n", flush=True)
    return path


def _choose_what_is_said() -> None:
    """Say what our own callbacks find; leave out what Lightning says at every start, and warnings of what is meant."""
    own = logging.getLogger("lightning_recipes")
    own.setLevel(logging.INFO)
    if not own.handlers:
        own.addHandler(logging.StreamHandler(sys.stdout))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report that was asked for
    for message in (
        r".*module\(s\) in eval mode.*",  # frozen layers are
        r".*does not have many workers.*",  # data.num_workers says how many
        r".*smaller than the logging interval.*",
        r".*`max_epochs` was not set.*",  # the stages say how many
        r".*callbacks used to create the checkpoint need to be provided.*",  # validate needs none of them
        r".*Checkpoint directory .* exists and is not empty.*",  # a run that goes on
        r".*LightningCLI's args parameter.*",
        r"Dump of a value that does not round-trip: a tuple .*",  # a recipe has no tuples, only defaults have
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*lr_scheduler.step\(\)` before `optimizer.step\(\)`.*",  # FP16 looks for its scale by skipping steps
    ):
        warnings.filterwarnings("ignore", message=message)


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Args:
        args: The subcommand as a Python name, then its options.
    """
    _choose_what_is_said()
    try:
        with ExitStack() as held, StopSignals() as signals:
            RecipesCLI(name_recipes(args), held, signals)
    except Stopped as stopped:
        # Lightning ends all processes of a training when one ends with another code than 0.
        return 0 if stopped.together and getattr(rank_zero_only, "rank", 0) != 0 else 128 + stopped.signal
    except (ValueError, TypeError, OSError, MisconfigurationException, ArgumentError) as error:
        failed, mistake = failed_write(error), _users_mistake(error)
        if failed:
            print(f"lightning-recipes: {failed}", file=sys.stderr)
            return 1
        if mistake is None:
            raise
        known = (*TOP_LEVEL, *OF_LR_FIND) if args[0] == "lr_find" else TOP_LEVEL
        print(f"lightning-recipes: {one_line(mistake, known)}", file=sys.stderr)
        return 2
    return 0


def _users_mistake(error: BaseException | None) -> BaseException | None:
    """Return the error that a user can mend, from under jsonargparse's wrapping; None for a fault of the program."""
    outermost = error
    while error is not None and not isinstance(error, (UserError, MisconfigurationException, ArgumentError)):
        if outermost is not error and error.__cause__ is None and isinstance(error, (ValueError, ModuleNotFoundError)):
            # A class that the recipe names refuses its arguments, or needs a package.
            return outermost if str(outermost).startswith("Does not validate") else None
        error = error.__cause__
    return error
