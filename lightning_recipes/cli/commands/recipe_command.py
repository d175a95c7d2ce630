"""What all commands on a recipe share: its keys, the run's folder, model and data, and a trainer."""

import inspect
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from jsonargparse import Namespace
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from typing_extensions import override

import lightning_recipes
from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.epoch_lines import EpochLines
from lightning_recipes.callbacks.error_analysis import ErrorAnalysis
from lightning_recipes.callbacks.gradcam import MisclassifiedGradCAM
from lightning_recipes.callbacks.wandb_tracker import WandbTracker
from lightning_recipes.cli.app import run
from lightning_recipes.cli.commands import COMMANDS
from lightning_recipes.cli.config_checks import check_config
from lightning_recipes.cli.error_messages import refuse_null
from lightning_recipes.cli.key_hints import arguments_of
from lightning_recipes.cli.trainer_checks import make_trainer, refuse_callbacks_twice
from lightning_recipes.components import import_object
from lightning_recipes.data.arguments import MULTILABEL
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.malloc import keep_freed_memory
from lightning_recipes.engine.stop_signals import StopSignals
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.tasks import create_task
from lightning_recipes.modules.tta import VIEWS
from lightning_recipes.run.folder import choose_run_folder

__all__ = ["RecipeCommand"]

RUN_DIR_OF_MAIN_PROCESS = "LIGHTNING_RECIPES_RUN_DIR"
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
)
LINKS = {
    "num_classes": "num_classes",
    "classes": "class_names",
    "class_counts": "class_counts",
    "image_size": "image_size",
    "channels": "in_chans",
}
"""What the model takes from the data, by its name there."""


class RecipeCommand(LightningCLI, ABC):
    """A command on a recipe: LightningCLI's keys, without its subcommands, and what is done with them.

    A command says its ``name``, what it ``needs`` and the keys that are ``used_most``, settles folder and checkpoint in
    :meth:`resolve`, and does its work in ``run``: its arguments are keys of the command's own, its docstring is their
    help. ``needs``, ``used_most`` and ``run`` are also read off the source, for ``COMMAND --help``.

    Unlike LightningCLI's, a checkpoint does not overrule the recipe or the command line.

    Attributes:
        name: As in the table of commands.
        default_data: What a recipe's ``data`` is, where it names no class.
        needs: What has to be given, as the usage shows it.
        used_most: Keys that ``COMMAND --help`` shows.
        run: Does the work, and returns an exit code other than 0 if there is one; its arguments have defaults.
        words: That were typed after the name.
        held: What is given back when the command ends, such as the run's folder.
        signals: Hears what asks the command to stop.
        run_folder: Where it writes.
    """

    name: ClassVar[str]
    default_data: ClassVar[type[pl.LightningDataModule]] = ImageDataModule
    needs: ClassVar[str]
    used_most: ClassVar[tuple[str, ...]]
    run: Callable[..., int | None]
    run_folder: Path

    def __init__(self, words: Sequence[str], held: ExitStack, signals: StopSignals) -> None:
        self.words, self.held, self.signals = list(words), held, signals
        self.of_kind = self.model_kind(words)
        for name in lightning_recipes.__all__:
            getattr(lightning_recipes, name)  # a recipe may name our classes without their package, once imported
        prog = f"lightning-recipes {self.name.replace('_', '-')}"
        super().__init__(
            model_class=self.of_kind,
            datamodule_class=type(self).default_data,
            save_config_callback=None,
            trainer_defaults={"log_every_n_steps": 10, "deterministic": "warn", "enable_model_summary": False},
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "prog": prog, "description": COMMANDS[self.name].help},
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=self.words,
            run=False,  # what is run is not a method of Lightning's trainer
            auto_configure_optimizers=False,
        )

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        return run(cls, words)

    @classmethod
    def model_kind(cls, words: Sequence[str]) -> type[pl.LightningModule]:
        """Return the class of models that the command works on, whose subclasses the recipe may name."""
        return ImageClassifier

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the keys of the top level, with the command's own."""
        return (*TOP_LEVEL, *(name for name in inspect.signature(cls.run).parameters if name != "self"))

    # The keys.

    @override
    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add trainer, model and data; model and data may come as plain keys of our own classes."""
        parser.add_lightning_class_args(pl.Trainer, "trainer")
        parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})
        parser.add_lightning_class_args(self.of_kind, "model", subclass_mode=True)
        parser.add_lightning_class_args(type(self).default_data, "data", subclass_mode=True)

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's own keys, what the model takes from the data, and the command's own."""
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
        for source, target in LINKS.items():
            parser.link_arguments(f"data.{source}", f"model.init_args.{target}", apply_on="instantiate")
        parser.add_method_arguments(type(self), "run")

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Refuse what no type says."""
        super().parse_arguments(parser, args)
        check_config(self.config)

    def recipe_text(self) -> str:
        """The recipe as it was run; without a folder or a checkpoint, so that it makes a run of its own.

        These keys are left out: other commands have other ones, and a null would take back what is typed before it.
        """
        config = self.config.clone()
        for key in ("run_dir", "ckpt_path", "config"):
            config.pop(key, None)
        if config.get("weights_only") is None:
            config.pop("weights_only", None)
        text: str = self.parser.dump(config, skip_none=False, skip_validation=True)
        return text.rstrip() + "\n"

    # Before anything slow is made.

    @override
    def before_instantiate_classes(self) -> None:
        """Name the run, and settle its folder and the checkpoint."""
        files = self._files()
        self.config.recipe = self.config.recipe or (files[-1].stem if files else "run")
        self._share_task()
        self.resolve()

    def _share_task(self) -> None:
        """Let the data read labels as the model takes them: a recipe says the task once, by ``model.task``."""
        model, data = self.config.model, self.config.data
        task = (model.get("init_args") or {}).get("task")
        kind = import_object("data", data.class_path)
        if task is None or "task" not in arguments_of(kind):
            return
        own, labels = data.init_args.get("task"), MULTILABEL if create_task(task).several_labels else "multiclass"
        if own not in (None, "multiclass", labels):
            raise UserError(f"data.task: '{own}' is not that of the model, {task}; leave it out and give model.task")
        data.init_args["task"] = labels

    @abstractmethod
    def resolve(self) -> None:
        """Settle ``run_folder`` and ``ckpt_path``, and refuse what cannot work."""

    def refuse_nulls(self) -> None:
        """Refuse a null where the recipe's model or data takes none."""
        for key in ("model", "data"):
            section = self.config[key]
            refuse_null(key, import_object(key, section.class_path), section.get("init_args", {}))

    def refuse_missing_checkpoint(self) -> None:
        """Refuse a ``ckpt_path`` that is not there."""
        given = self.config.ckpt_path
        if given is not None and not Path(given).exists():
            raise UserError(f"ckpt_path: '{given}' does not exist; give a checkpoint file, or last for fit")

    def claim_run_folder(self, *, resume: bool) -> Path:
        """Choose the run's folder, and keep all others out of it until the command ends.

        Args:
            resume: Go on with the run that is there.
        """
        if "LOCAL_RANK" in os.environ and RUN_DIR_OF_MAIN_PROCESS in os.environ:
            return Path(os.environ[RUN_DIR_OF_MAIN_PROCESS])  # a process that Lightning started: the folder is chosen
        # What torchrun or srun start side by side is one training: none of them may keep the others out.
        alone = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1) == 1
        recipe = next(iter(self._files()[-1:]), None)
        own = self.config
        folder = choose_run_folder(own.run_dir, own.recipe, config=recipe, resume=resume, claim=alone)
        os.environ[RUN_DIR_OF_MAIN_PROCESS] = str(self.held.enter_context(folder).path)
        return folder.path

    def _files(self) -> list[Path]:
        return [Path(str(path)) for path in self.config.config or []]

    # What is made.

    @override
    def instantiate_classes(self) -> None:
        """Make model and data, and the callbacks that the recipe names; the command makes its trainer of them."""
        self.config_init = self.parser.instantiate_classes(self.config)
        self.model, self.datamodule = self.config_init.model, self.config_init.data

    @property
    def made(self) -> Namespace:
        """The recipe with its classes made."""
        found: Namespace = self.config_init
        return found

    def callbacks(self) -> list[pl.Callback]:
        """Return the recipe's callbacks, with a progress bar unless it has one or wants none.

        Raises:
            UserError: Two of them would undo or double each other.
        """
        given = self.made.trainer.callbacks or []
        callbacks = list(given) if isinstance(given, list) else [given]
        wanted = self.made.trainer.enable_progress_bar is not False
        if wanted and not any(isinstance(callback, ProgressBar) for callback in callbacks):
            callbacks.append(_progress_bar())
        refuse_callbacks_twice(callbacks)
        return callbacks

    def make_trainer(self, callbacks: Sequence[pl.Callback], *, logger: Any = False, **options: Any) -> pl.Trainer:
        """Return the recipe's trainer, which writes into the run's folder.

        Args:
            callbacks: In place of the recipe's.
            logger: Likewise.
            **options: Likewise, for any other key of the trainer.
        """
        own = {"callbacks": list(callbacks), "logger": logger, "default_root_dir": str(self.run_folder)}
        trainer = make_trainer(pl.Trainer, {**self.made.trainer, **options, **own})
        # `deterministic` also makes PyTorch fill every new tensor before it is written to: that is for debugging.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if isinstance(trainer.accelerator, CPUAccelerator) and not self.datamodule.hparams.get("num_workers"):
            keep_freed_memory()  # not with workers: a fork of so much kept memory copies it page by page
        return trainer

    def execute(self) -> int:
        """Call ``run`` with the command's own keys, and return the exit code: what it returns, or 0."""
        return self.run(**{name: self.made[name] for name in inspect.signature(self.run).parameters}) or 0


def _progress_bar() -> pl.Callback:
    from lightning_recipes.callbacks.progress_bar import OneLineProgressBar

    # Rich redraws; where nobody watches, a log file wants lines.
    return OneLineProgressBar(leave=False) if sys.stdout.isatty() else EpochLines()
