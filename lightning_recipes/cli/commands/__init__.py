"""The commands: a row each here, and a file each beside it.

Read without importing what a command needs, so that ``--help`` is answered in an instant. To add a command, write its
file and its row: one that takes a recipe is a :class:`~lightning_recipes.cli.commands.recipe_command.RecipeCommand`,
any other a class with a ``main`` of its own, as :class:`~lightning_recipes.cli.commands.prepare.Prepare`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, Protocol

__all__ = ["COMMANDS", "Command", "Row", "load_command"]


class Row(NamedTuple):
    """A command.

    Attributes:
        place: Its module and class, as in ``package.module:Class``.
        help: What it does, in a line.
    """

    place: str
    help: str


HERE = "lightning_recipes.cli.commands"
COMMANDS = {
    "fit": Row(f"{HERE}.fit:Fit", "Train what a recipe says; goes on with a stopped run by --ckpt_path last."),
    "pretrain": Row(
        f"{HERE}.pretrain:Pretrain", "Train a backbone without labels; then fit goes on from it by model.pretrained."
    ),
    "suggest": Row(
        f"{HERE}.suggest:Suggest", "Write a recipe for the data, the machine and the time, with its reasons."
    ),
    "sweep": Row(f"{HERE}.sweep:Sweep", "Search values of a recipe's keys by many runs, with any number of workers."),
    "inspect": Row(
        f"{HERE}.inspect:Inspect", "Say what is in the data: bad files, duplicates, leaks, wrong labels, shortcuts."
    ),
    "check": Row(
        f"{HERE}.check:CheckPipeline", "Check a recipe's pipeline before it trains: inputs, loss, gradients, a batch."
    ),
    "validate": Row(f"{HERE}.validate:Validate", "Evaluate a checkpoint on the validation images."),
    "test": Row(f"{HERE}.test:Test", "Evaluate a checkpoint on the test images."),
    "compare": Row(f"{HERE}.compare:Compare", "Say which of several runs is better, and whether that is sure."),
    "lr_find": Row(f"{HERE}.lr_find:LrFind", "Run the learning rate range test alone: figure, JSON and suggestions."),
    "explain": Row(f"{HERE}.explain:Explain", "Draw what a checkpoint gets wrong, and where it looked (GradCAM)."),
    "prepare": Row(
        f"{HERE}.prepare:Prepare", "Copy data without bad files, copies and wrong labels, or mended, and split them."
    ),
    "predict": Row(f"{HERE}.predict:Predict", "Write a table of what a checkpoint says of pictures, however many."),
    "serve": Row(f"{HERE}.serve:Serve", "Answer by HTTP what a checkpoint takes pictures for, in batches."),
    "generate": Row(f"{HERE}.generate:Generate", "Write images that a ConditionalGAN makes, in class folders."),
    "export": Row(f"{HERE}.export:Export", "Write a checkpoint as a file that others run, proven on the images."),
}
"""By name; what is typed has dashes in the place of underscores."""


class Command(Protocol):
    """What every command has."""

    @classmethod
    def main(cls, words: Sequence[str]) -> int:
        """Run it with the words that are typed after its name, and return the exit code."""
        ...


def load_command(name: str) -> type[Command]:
    """Import a command and all that it needs."""
    module, _, kind = COMMANDS[name].place.partition(":")
    command: type[Command] = getattr(import_module(module), kind)
    return command
