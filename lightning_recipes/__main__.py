"""The entry of the command line. Help and version are answered from here, without the seconds that Lightning takes."""

import os
import sys
from collections.abc import Sequence

from lightning_recipes._version import __version__
from lightning_recipes.cli.commands import COMMANDS, load_command
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["COMMANDS", "main"]

HELP = """Usage: lightning-recipes COMMAND --config RECIPE [--key value ...]

Commands:
{commands}

Options:
  -h, --help     Show this text; COMMAND --help shows the keys used most, COMMAND --help all every key.
  help NAME      Explain a key, such as model.loss, or a class, such as EMA, or show a page of the documentation,
                 such as resume; help pages lists them.
  --version      Show the version.

A recipe is one YAML file; any of its keys can be given on the command line too, and then wins:
  lightning-recipes fit --config configs/finetune.yaml --data.root my_images --model.backbone resnet50
"""


def help_text() -> str:
    """Return what ``lightning-recipes --help`` prints."""
    rows = (f"  {name.replace('_', '-'):<14} {row.help}" for name, row in COMMANDS.items())
    return HELP.format(commands="\n".join(rows))


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
    if words[0] == "help":
        return _help(words[1:])
    if words[0] == "--version":
        print(f"lightning-recipes {__version__}")
        return 0
    command = words[0].replace("-", "_")  # commands are Python names: lr-find is lr_find
    if command not in COMMANDS:
        typed = [name.replace("_", "-") for name in COMMANDS]
        known = did_you_mean(words[0], typed) or f"; there are {', '.join(typed)}"
        print(f"lightning-recipes: '{words[0]}' is not a command{known}", file=sys.stderr)
        return 2
    asked_for = _help_wanted(words)
    if asked_for not in (None, "all") and (code := _print_help(command, str(asked_for))) is not None:
        return code
    sys.path.insert(0, os.getcwd())  # a user's own classes are named by import path, from where the command is typed
    # Lightning calls jsonargparse by names that it means to rename; nothing a user could do about it.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    return load_command(command).main(["--help"] if asked_for == "all" else words[1:])


def _help(names: Sequence[str]) -> int:
    """Answer ``help``, ``help COMMAND``, ``help COMMAND KEY``, ``help KEY`` and ``help PAGE``; return the exit code."""
    if not names:
        return main(["--help"])
    if names[0].replace("-", "_") in COMMANDS:
        return main([names[0], "--help", *names[1:]])
    from lightning_recipes.cli.help_pages import help_on

    return help_on(names[0])


def _help_wanted(words: Sequence[str]) -> str | None:
    """Return the key after ``--help``, or an empty string without one; None where no help is asked for."""
    for position, word in enumerate(words):
        option, _, key = word.partition("=")
        if option in ("-h", "--help"):
            return key or (words[position + 1] if position + 1 < len(words) else "")
    return None


def _print_help(command: str, key: str) -> int | None:
    """Print what the source says, and return the exit code; None for a command that takes no recipe."""
    from lightning_recipes.cli.key_help import command_help, key_help, used_most

    if not used_most(command):
        return None
    try:
        print(key_help(command, key) if key else command_help(command), end="")
    except UserError as error:
        print(f"lightning-recipes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
