"""How a command on a recipe ends: what is said meanwhile, its exit code, and errors of one line."""

import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only

from lightning_recipes.atomic_io import failed_write
from lightning_recipes.cli.error_messages import RECIPE, one_line
from lightning_recipes.cli.help_pages import with_page
from lightning_recipes.cli.packaged import name_recipes
from lightning_recipes.engine.stop_signals import Stopped, StopSignals
from lightning_recipes.errors import UserError

__all__ = ["INTERRUPTED", "OnRecipe", "choose_what_is_said", "refused", "run"]

PACKAGE = Path(__file__).parents[1]
INTERRUPTED = 130
"""Exit code of a command that takes no recipe and was stopped by Ctrl-C, as a shell has it."""
usual_format = warnings.formatwarning  # Lightning's


class OnRecipe(Protocol):
    """What a command on a recipe is to whoever runs it."""

    def __init__(self, words: Sequence[str], held: ExitStack, signals: StopSignals) -> None:
        """Parse the words, and make what they name."""

    @classmethod
    def keys(cls) -> Sequence[str]:
        """Return the keys of the top level, to suggest one of."""
        ...

    def execute(self) -> int:
        """Do the command's work, and return the exit code."""
        ...


def run(command: type[OnRecipe], words: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Args:
        command: Its class.
        words: That were typed after its name.
    """
    choose_what_is_said()
    try:
        with ExitStack() as held, StopSignals() as signals:
            return command(name_recipes(words), held, signals).execute()
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
        print(f"lightning-recipes: {with_page(one_line(mistake, command.keys()))}", file=sys.stderr)
        return 2


def refused(error: BaseException, instead: str) -> int:
    """Print the error of a command that takes no recipe as one line, and return its exit code.

    Args:
        error: A user's mistake, or jsonargparse's wrapping of one.
        instead: What to do, where the line would advise to give a recipe.
    """
    mistake = error.__cause__ if isinstance(error.__cause__, UserError) else error
    print(f"lightning-recipes: {with_page(one_line(mistake).replace(RECIPE, instead))}", file=sys.stderr)
    return 2


def _users_mistake(error: BaseException | None) -> BaseException | None:
    """Return the error that a user can mend, from under jsonargparse's wrapping; None for a fault of the program."""
    outermost = error
    while error is not None and not isinstance(error, (UserError, MisconfigurationException, ArgumentError)):
        if outermost is not error and error.__cause__ is None and isinstance(error, (ValueError, ModuleNotFoundError)):
            # A class that the recipe names refuses its arguments, or needs a package.
            return outermost if str(outermost).startswith("Does not validate") else None
        error = error.__cause__
    return error


def choose_what_is_said() -> None:
    """Say what our own callbacks find; leave out what Lightning says at every start, and warnings of what is meant."""
    own = logging.getLogger("lightning_recipes")
    own.setLevel(logging.INFO)
    if not own.handlers:
        own.addHandler(logging.StreamHandler(sys.stdout))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.formatwarning = _format
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report that was asked for
    for message in (
        r".*module\(s\) in eval mode.*",  # frozen layers are
        r".*does not have many workers.*",  # data.num_workers says how many
        r".*`persistent_workers=True`\) and `Trainer\(reload_dataloaders.*",  # they end before their loader is gone
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


def _format(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours as an error of ours looks: where in the package it was raised is nothing to a user."""
    if Path(filename).is_relative_to(PACKAGE):
        return f"lightning-recipes: {message}\n"
    return usual_format(message, category, filename, lineno, line)
