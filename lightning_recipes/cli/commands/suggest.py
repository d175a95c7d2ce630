"""``lightning-recipes suggest DATA``: a recipe for the data, the machine and the time, with its reasons."""

import math
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from typing_extensions import override

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.cli.app import run
from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.cli.console import print_suggestion
from lightning_recipes.cli.typed_options import typed_options
from lightning_recipes.components import import_object
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.suggest.choices import Choice, Measured, Suggestion
from lightning_recipes.suggest.measure import Bench, measure
from lightning_recipes.suggest.recipe_text import recipe_text
from lightning_recipes.suggest.rules import suggest

__all__ = ["Suggest"]

BASE = "finetune"
"""The recipe whose model is taken where nothing else is given."""
FROM_BASE = ("backbone", "pretrained", "optimizer", "weight_decay", "freeze_norm_stats")
SECTIONS = ("data", "model", "trainer")
OWN = ("minutes", "out", "backbones", "config")
QUIET: dict[str, Any] = {"devices": 1, "num_nodes": 1, "enable_progress_bar": False, "enable_checkpointing": False}
SETTLED = (
    "callbacks", "max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "limit_train_batches",
    "overfit_batches", "fast_dev_run", "check_val_every_n_epoch", "val_check_interval", "accumulate_grad_batches",
)  # fmt: skip
"""Keys of the trainer that say how long it trains, which is what is suggested."""


class Suggest(RecipeCommand):
    """Measure, choose by rules, and write; what it writes is fixed, and nothing is decided while it trains."""

    name = "suggest"
    needs = "DATA --out RECIPE"
    used_most = (
        "minutes", "out", "backbones", "data.image_size", "data.batch_size", "data.augment", "data.val_fraction",
        "model.backbone", "model.pretrained", "trainer.accelerator", "trainer.precision",
    )  # fmt: skip

    @classmethod
    @override
    def main(cls, words: Sequence[str]) -> int:
        """Run the command and return its exit code."""
        if words and ": " in words[0]:
            print(
                "lightning-recipes: data.root: a path with ': ' is read as a mapping; give a link to it",
                file=sys.stderr,
            )
            return 2
        return run(cls, ["--config", BASE, *_named(words)])

    @override
    def resolve(self) -> None:
        """Refuse what cannot work, and take a folder that is gone afterwards."""
        self.refuse_nulls()
        own, given = self.config, self._given()
        if "data.root" not in given:
            raise UserError("suggest: name the data first: lightning-recipes suggest my_images --out recipe.yaml")
        if "config" in self._typed():
            raise UserError(
                "config: suggest writes a recipe and takes none; give single keys, such as --model.backbone"
            )
        if not 0 < own.minutes < math.inf:
            raise UserError(f"minutes: {own.minutes} is not a number > 0")
        for key in SETTLED:
            if f"trainer.{key}" in given:
                raise UserError(
                    f"trainer.{key}: is part of what is suggested; leave it out, and change it in the recipe"
                )
        if given.get("data.batch_size") == "all":
            raise UserError("data.batch_size: suggest takes a number; give one, or change it in the recipe")
        if own.backbones is not None and not _names(own.backbones):
            raise UserError("backbones: no name is given; such as --backbones resnet18,resnet50")
        if own.out is None:
            raise UserError("out: not given; name the file to write, such as --out recipe.yaml")
        _refuse_existing(own.out)
        check_folder("out", str(Path(own.out).parent))
        self.run_folder = Path(self.held.enter_context(tempfile.TemporaryDirectory()))

    def run(self, minutes: float = 10.0, out: str | None = None, backbones: str | None = None) -> None:
        """Write a recipe for the data, the machine and the time, with its reasons.

        Args:
            minutes: Minutes that the training may take at most, its start and end included; what is measured before
                takes up to a fifth of it more.
            out: File to write; one that exists is refused.
            backbones: Names set apart by commas, to choose the best from (default: model.backbone alone).
        """
        assert out is not None
        if self.model.task.several_labels:
            raise UserError("model.task: suggest takes one label an image; begin with --config finetune for several")
        names = _names(backbones or self.model.hparams["backbone"])
        bench = Bench(self._quiet_trainer, self.model, self.datamodule, self._given())
        measured = measure(bench, names, seconds=60 * minutes)
        suggestion = suggest(measured)
        text = recipe_text(
            self._heading(measured, suggestion),
            self._choices(measured, suggestion),
            suggestion.stages,
            classes=self._classes_given(),
            others=self._others(),
        )
        _refuse_existing(out)  # which somebody may have made meanwhile
        with whole_file(Path(out)) as part:
            part.write_text(text, encoding="utf-8")
        print_suggestion(out, suggestion)

    def _quiet_trainer(self, callbacks: Sequence[pl.Callback], **options: Any) -> pl.Trainer:
        return self.make_trainer(callbacks, **QUIET, **options)

    def _typed(self) -> list[str]:
        """Keys that were typed, as they are typed; of a whole section in braces the keys in it."""
        typed = []
        for option, value in typed_options(self.words[2:]):
            name = {"-c": "config"}.get(option, option.lstrip("-")).removesuffix("+").replace(".init_args", "")
            inside = value.strip()
            whole = name in SECTIONS and inside.startswith("{")
            typed += [f"{name}.{key}" for key in yaml.safe_load(inside)] if whole else [name]
        return [name for name in typed if not name.endswith("class_path") and name not in SECTIONS]

    def _given(self) -> dict[str, Any]:
        """Keys below ``data``, ``model`` and ``trainer`` that were typed, with their values."""
        given: dict[str, Any] = {}
        for name in self._typed():
            section, _, below = name.partition(".")
            if section in SECTIONS:
                key = below.partition(".")[0]
                values = self.config[section] if section == "trainer" else self.config[section].init_args
                given[f"{section}.{key}"] = _plain(values[key])
        return given

    def _others(self) -> dict[str, Any]:
        """Other keys of the recipe that were typed, with their values; of a section those that were typed."""
        others: dict[str, Any] = {}
        for name in self._typed():
            section, _, key = name.partition(".")
            if section in SECTIONS or section in OWN:
                continue
            if key:
                others.setdefault(section, {})[key] = _plain(self.config[section][key])
            else:
                others[section] = _plain(self.config[section])
        return others

    def _classes_given(self) -> dict[str, str]:
        """Import paths of a model or data module that is not ours."""
        ours = {"model": ImageClassifier, "data": ImageDataModule}
        given = {section: str(self.config[section].class_path) for section in ours}
        return {section: path for section, path in given.items() if import_object(section, path) is not ours[section]}

    def _choices(self, measured: Measured, suggestion: Suggestion) -> list[Choice]:
        """What is given as it is, then what was chosen, then what the base says."""
        given = self._given()
        measured_keys = [one.key for one in suggestion.choices]
        chosen = {one.key: one for one in suggestion.choices}
        for name in FROM_BASE[1:]:
            chosen[f"model.{name}"] = Choice(f"model.{name}", _plain(self.config.model.init_args[name]), "")
        for key, value in given.items():
            if key == "model.backbone" and measured.others:
                continue  # it was one to choose from
            chosen[key] = Choice(key, value, "as given" if key in measured_keys else "")
        root = chosen.pop("data.root")
        return [root, *chosen.values()]

    def _heading(self, measured: Measured, suggestion: Suggestion) -> list[str]:
        data, length, (middle, low, high) = measured.data, suggestion.length, suggestion.accuracy
        fewest, most = min(data.class_counts), max(data.class_counts)
        sizes = f"{fewest} of each" if fewest == most else f"{fewest} to {most} of each"
        parts = (("start, features and report", length.once), ("head", length.head), ("all layers", length.all_layers))
        return [
            f"Suggested by lightning-recipes {__version__} on {time.strftime('%Y-%m-%d')}, for "
            f"{measured.seconds / 60:g} minutes on {measured.machine}. An ordinary recipe: change what you know "
            "better. Nothing is decided while it trains, so it repeats to the bit.",
            f"Data: {data.train_images:,} training images of {data.classes} classes ({sizes}), {data.val_images:,} for "
            f"validation; shorter sides of about {data.side} px.",
            f"Expected: val_accuracy about {100 * middle:.1f} %; half of the sets that the rules were measured on "
            f"would lie between {100 * low:.1f} and {100 * high:.1f} %. {length.seconds / 60:.1f} minutes: "
            + ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in parts)
            + ".",
            suggestion.outlook,
            "[..] and +- are 95 % intervals. A value without a reason was typed, or is that of the recipe finetune.",
            f"lightning-recipes fit --config {shlex.quote(str(self.config.out))}",
        ]


def _named(words: Sequence[str]) -> list[str]:
    """Put the key before the data, which comes first without one."""
    if not words or words[0].startswith("-"):
        return list(words)
    return ["--data.root", *words]


def _names(backbones: str) -> list[str]:
    """Names that are set apart by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in backbones.split(",") if name.strip()))


def _refuse_existing(out: str) -> None:
    if Path(out).exists():
        raise UserError(f"out: '{out}' exists; name another file")


def _plain(value: Any) -> Any:
    """A value as YAML can hold it."""
    return value.as_dict() if hasattr(value, "as_dict") else value
