"""What comes with the package besides code: recipes by name, as in ``--config quickstart``, and pages of help."""

import sysconfig
from collections.abc import Sequence
from pathlib import Path

from lightning_recipes.cli.recipe_file import check_recipe_file
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["name_recipes", "packaged_files", "packaged_recipes"]


def packaged_files(kind: str, pattern: str) -> dict[str, Path]:
    """Return name and file of what the installed package has, or the checkout that is installed editable.

    Args:
        kind: The folder: ``configs`` or ``docs``.
        pattern: Of the files' names; the name that is returned is a path in the folder without its suffix.
    """
    folders = (
        Path(sysconfig.get_path("data"), "share", "lightning-recipes", kind),
        Path(__file__).parents[2] / kind,
    )
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for folder in folders
        for file in sorted(folder.rglob(pattern))
    }


def packaged_recipes() -> dict[str, Path]:
    """Return name and file of every recipe."""
    return packaged_files("configs", "*.yaml")


def name_recipes(args: Sequence[str]) -> list[str]:
    """Put the file in the place of a recipe's name after ``--config`` or ``-c``; paths stay as they are.

    Each file is looked at before its keys are parsed, see :func:`lightning_recipes.cli.recipe_file.check_recipe_file`.

    Raises:
        UserError: There is neither such a recipe nor such a file, or the file is no recipe.
    """
    named = list(args)
    for position, word in enumerate(named):
        option, equals, value = word.partition("=")
        if option not in ("--config", "-c") or (not equals and position + 1 == len(named)):
            continue
        file = _recipe(value if equals else named[position + 1])
        named[position if equals else position + 1] = f"{option}={file}" if equals else file
    return named


def _recipe(given: str) -> str:
    """Return the file of a recipe's name or path, looked at."""
    path = Path(given)
    if not given:
        raise UserError("config: the name is empty; give a recipe's file or name, such as quickstart")
    if given.lstrip().startswith("{"):
        return given  # a mapping, typed in the file's place
    if path.is_dir():
        inside = f", such as {path / 'config.yaml'}" if (path / "config.yaml").is_file() else ""
        raise UserError(f"config: '{given}' is a folder; give the file of a recipe{inside}")
    if path.exists():
        if path.is_file():  # what a shell hands over as a pipe can be read only once
            check_recipe_file(path)
        return given
    recipes = packaged_recipes()
    if given in recipes:
        return str(recipes[given])
    near = did_you_mean(given, recipes) or did_you_mean(path.name, [file.name for file in path.parent.glob("*.y*ml")])
    raise UserError(
        f"config: there is no recipe or file '{given}'{near or '; give the path of a recipe, or quickstart to see one'}"
    )
