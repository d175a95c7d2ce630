"""The recipes that come with the package, by name: ``--config quickstart``."""

import sysconfig
from collections.abc import Sequence
from pathlib import Path

from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["name_recipes", "packaged_recipes"]


def packaged_recipes() -> dict[str, Path]:
    """Return name and file of every recipe: of the installed package, or of the checkout that is installed editable."""
    folders = (
        Path(sysconfig.get_path("data"), "share", "lightning-recipes", "configs"),
        Path(__file__).parents[1] / "configs",
    )
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for folder in folders
        for file in sorted(folder.rglob("*.yaml"))
    }


def name_recipes(args: Sequence[str]) -> list[str]:
    """Put the file in the place of a recipe's name after ``--config`` or ``-c``; paths stay as they are.

    Raises:
        UserError: There is neither such a recipe nor such a file.
    """
    named = list(args)
    for position, word in enumerate(named):
        option, _, value = word.partition("=")
        if option not in ("--config", "-c") or (not value and position + 1 == len(named)):
            continue
        given = value or named[position + 1]
        if Path(given).exists() or Path(given).suffix:
            continue
        recipes = packaged_recipes()
        if given not in recipes:
            raise UserError(f"config: there is no recipe or file '{given}'{did_you_mean(given, recipes)}")
        named[position if value else position + 1] = f"{option}={recipes[given]}" if value else str(recipes[given])
    return named
