"""What ``validate``, ``test``, ``predict`` and ``explain`` share: a finished model, and the images to use it on."""

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.console import print_evaluation, print_gain
from lightning_recipes.cli.run_data import make_data, without_extra
from lightning_recipes.cli.typed_options import typed_options
from lightning_recipes.compat.lightning import ADDED_BY_LIGHTNING, CLASS_PATH
from lightning_recipes.components import current_path, import_object
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError
from lightning_recipes.models.checkpoint_file import read_checkpoint
from lightning_recipes.models.snapshot_files import find_snapshots
from lightning_recipes.modules.classification import refuse_other_classes
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.gan.conditional_gan import ConditionalGAN
from lightning_recipes.modules.load import load_classifier
from lightning_recipes.modules.tta import MultiViewClassifier

__all__ = ["Evaluation", "given_on_the_command_line"]

SEEN = ("image_size", "mean", "std", "fit")  # keys of the data that the checkpoint knows better than the recipe
SECTIONS = {
    "model": ("class_path", "hyper_parameters"),
    "data": ("data_class_path", "datamodule_hyper_parameters"),
}
"""Where a checkpoint has the class and the arguments of each."""
LINKED = ("num_classes", "class_names", "class_counts")  # what a recipe does not give
PLACEHOLDERS = {
    "model": {"class_path": "lightning_recipes.ImageClassifier", "init_args": {"backbone": "the file's own"}},
    "data": {"class_path": "lightning_recipes.ImageDataModule", "init_args": {}},
}


class Evaluation(RecipeCommand, ABC):
    """A command that uses a finished model; the recipe may be left out, as the checkpoint knows it.

    Attributes:
        needs_labels: Whether the data must be of the model's classes.
        takes_snapshots: Whether a folder of snapshots is taken for a checkpoint.
    """

    needs_labels: ClassVar[bool] = True
    takes_snapshots: ClassVar[bool] = True

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Let the checkpoint say what no recipe says: which class it is of, and which data it was judged on."""
        parser.set_defaults(_chosen_sections(self.words))
        super().parse_arguments(parser, args)

    @override
    def resolve(self) -> None:
        """Write into the checkpoint's run, where it lies in one."""
        own = self.config
        if own.ckpt_path is None:
            raise UserError(
                f"ckpt_path: {self.name} needs the weights to use; give --ckpt_path RUN/checkpoints/best.ckpt"
                + (", or RUN/snapshots" if self.takes_snapshots else "")
            )
        path = Path(own.ckpt_path)
        if path.is_dir() and not self.takes_snapshots:
            raise UserError(f"ckpt_path: {self.name} takes one network; give a checkpoint file in place of the folder")
        of_run = path.resolve().parent if path.is_dir() else path.parent.parent
        own_place = path.is_dir() or path.parent.name in ("checkpoints", "snapshots")
        self.run_folder = Path(own.run_dir or (of_run if own_place else "."))
        self.refuse_missing_checkpoint()

    @override
    def instantiate_classes(self) -> None:
        """Make the model from its file alone; LightningCLI would make it from a recipe."""
        own = self.config
        model, data = own.pop("model"), own.pop("data")
        own.model = own.data = None
        self.config_init = self.parser.instantiate_classes(own)
        own.model, own.data = model, data
        given = given_on_the_command_line(self.words)
        self.model, self.datamodule = _make_model(own.ckpt_path, model, given), make_data(without_extra(data))
        _use_typed_input(self.model, self.datamodule, given)
        if self.needs_labels and isinstance(self.datamodule, ImageDataModule):
            theirs, data = (self.model.num_classes, self.model.class_names), self.datamodule
            refuse_other_classes(*theirs, num_classes=data.num_classes, class_names=data.classes)

    def with_views(self) -> pl.LightningModule:
        """Return the model, or what averages several views of it."""
        views, model = self.config.views, self.model
        return model if views is None else MultiViewClassifier(model, views)

    def evaluate(
        self, trainer: pl.Trainer, evaluate: Callable[..., Any], *, verbose: bool
    ) -> Sequence[Mapping[str, float]]:
        """Judge the model on a split, print its metrics, and return them.

        Args:
            trainer: Runs it.
            evaluate: Its ``validate`` or ``test``.
            verbose: Print.
        """
        model = self.with_views()
        metrics: Sequence[Mapping[str, float]] = evaluate(model, verbose=False, datamodule=self.datamodule)
        if verbose:
            print_evaluation(self.name, metrics)
            if isinstance(model, MultiViewClassifier) and trainer.world_size == 1:
                print_gain(*model.gain(), of=model.task.share_right_means)
        return metrics


def given_on_the_command_line(words: Sequence[str]) -> set[str]:
    """Return the keys that were typed, such as ``data.image_size``; classes' arguments without ``init_args``.

    Example:
        >>> sorted(given_on_the_command_line(["--data.init_args.image_size=64", "--views", "flip"]))
        ['data.image_size', 'views']
    """
    return {name[2:].replace(".init_args", "") for name, _ in typed_options(words) if name.startswith("--")}


def _chosen_sections(words: Sequence[str]) -> dict[str, Any]:
    """Return model and data as the checkpoint has them, for a command line that may name no recipe.

    Args:
        words: Of the command line; without a checkpoint in them, or with one that cannot be read, nothing is returned.
    """
    path = next((value for name, value in typed_options(words) if name == "--ckpt_path"), None)
    try:
        checkpoint = _first_of(Path(path)) if path else {}
    except UserError:  # said later, in its own words
        checkpoint = {}
    return {
        section: _section(dict(checkpoint.get(arguments) or {}), checkpoint.get(kind)) or PLACEHOLDERS[section]
        for section, (kind, arguments) in SECTIONS.items()
    }


def _section(arguments: dict[str, Any], kind: str | None) -> dict[str, Any] | None:
    kind = kind or arguments.get(CLASS_PATH)
    left_out = (*ADDED_BY_LIGHTNING, *LINKED)
    try:
        found = import_object("class_path", str(kind))
    except (UserError, ValueError):  # of a class that is not here: said when the model is made
        return None
    if isinstance(found, type) and issubclass(found, ConditionalGAN):  # said likewise
        return None
    return {
        "class_path": current_path(str(kind)),
        "init_args": {k: v for k, v in arguments.items() if k not in left_out},
    }


def _first_of(path: Path) -> Mapping[str, Any]:
    return find_snapshots(path)[0].checkpoint() if path.is_dir() else read_checkpoint(path)


def _make_model(ckpt_path: str, section: Any, given: set[str]) -> Evaluator:
    """Return the model of a checkpoint, with the arguments that were typed in place of the file's.

    Args:
        ckpt_path: A checkpoint, a snapshot, or a folder of them.
        section: The recipe's ``model``.
        given: Keys that were typed.
    """
    typed = dict(section.get("init_args") or {}) if section else {}
    return load_classifier(ckpt_path, **{name: value for name, value in typed.items() if f"model.{name}" in given})


def _use_typed_input(model: Evaluator, data: Any, given: set[str]) -> None:
    """Judge at another size or normalisation where one was typed; the recipe's own does not come before the file's."""
    used = model.input_judged
    typed = {name: getattr(data, "hparams", {}).get(name) for name in SEEN if f"data.{name}" in given}
    changed: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in typed.items() if v is not None
    }
    for member in model.modules():
        if isinstance(member, Evaluator):
            member.judged_input = replace(member.judged_input or used, **changed)
