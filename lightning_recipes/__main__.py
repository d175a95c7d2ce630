"""The entry of the command line. Help and version are answered from here, without the seconds that Lightning takes."""

import os
import sys
from collections.abc import Sequence

from lightning_recipes._version import __version__
from lightning_recipes.errors import did_you_mean

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "fit": "Train what a recipe says; goes on with a stopped run by --ckpt_path last.",
    "validate": "Evaluate a checkpoint on the validation images.",
    "test": "Evaluate a checkpoint on the test images.",
    "lr_find": "Run the learning rate range test alone: figure, JSON and suggestions.",
    "explain": "Draw what a checkpoint gets wrong, and where it looked (GradCAM).",
    "prepare": "Copy data without the images whose labels are wrong, or with the labels mended.",
    "predict": "Write the predictions of a checkpoint for a folder of images.",
}

HELP = """Usage: lightning-recipes COMMAND --config RECIPE [--key value ...]

Commands:
{commands}

Options:
  -h, --help     Show this text; COMMAND --help shows the keys of a recipe.
  --version      Show the version.

A recipe is one YAML file; any of its keys can be given on the command line too, and then wins:
  lightning-recipes fit --config configs/finetune.yaml --data.root my_images --model.backbone resnet50
"""


def help_text() -> str:
    """Return what ``lightning-recipes --help`` prints."""
    return HELP.format(commands="\n".join(f"  {name.replace('_', '-'):<14} {text}" for name, text in COMMANDS.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 for what nobody foresaw, 2 for a bad recipe or bad data.

    Args:
        argv: The words after ``lightning-recipes`` (default: those of the process). Only the default can train on
            several processes, as Lightning starts them with the words of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(help_text(), end="")
        return 0
    if words[0] == "--version":
        print(f"lightning-recipes {__version__}")
        return 0
    command = words[0].replace("-", "_")  # commands are Python names: lr-find is lr_find
    if command not in COMMANDS:
        known = did_you_mean(words[0], COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        print(f"lightning-recipes: '{words[0]}' is not a command{known}", file=sys.stderr)
        return 2
    sys.path.insert(0, os.getcwd())  # a user's own classes are named by import path, from where the command is typed
    # Lightning calls jsonargparse by names that it means to rename; nothing a user could do about it.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    if command == "prepare":  # needs no Lightning
        from lightning_recipes.commands.prepare import run as prepare

        return prepare(words[1:])
    from lightning_recipes.cli import run

    return run([command, *words[1:]])


if __name__ == "__main__":
    sys.exit(main())
