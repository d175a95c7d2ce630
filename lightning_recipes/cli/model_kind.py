"""Which kind of model a command line is about, before its keys are parsed: each kind has keys of its own."""

from collections.abc import Sequence
from pathlib import Path

import yaml

import lightning_recipes
from lightning_recipes.cli.typed_options import typed_options
from lightning_recipes.components import import_object
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.gan.conditional_gan import ConditionalGAN

__all__ = ["is_gan", "model_kind"]


def model_kind(words: Sequence[str]) -> type[ImageClassifier | ConditionalGAN]:
    """Return the class that ``model`` is of, or of a subclass of which: as typed, else as the last recipe names it.

    Args:
        words: Of the command line. What is wrong with them or with the recipe is said when they are parsed.
    """
    named = [value for name, value in typed_options(words) if name in ("--model", "--model.class_path")]
    files = [value for name, value in typed_options(words) if name in ("--config", "-c")]
    for name in [*reversed(named), *filter(None, map(_named_in, reversed(files)))]:
        return ConditionalGAN if is_gan(name) else ImageClassifier
    return ImageClassifier


def _named_in(file: str) -> str:
    try:
        recipe = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    model = recipe.get("model") if isinstance(recipe, dict) else None
    return str(model.get("class_path") or "") if isinstance(model, dict) else str(model or "")


def is_gan(name: str) -> bool:
    """Tell whether a name or an import path is that of a :class:`ConditionalGAN` or of a subclass."""
    if "." not in name:
        found = getattr(lightning_recipes, name, None) if name.isidentifier() else None
    else:
        try:
            found = import_object("model", name)
        except (UserError, ValueError):
            return False
    return isinstance(found, type) and issubclass(found, ConditionalGAN)
