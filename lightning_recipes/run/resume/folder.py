"""The recipe that a checkpoint was made with, and how far it has come."""

from pathlib import Path
from typing import Any

import torch
import yaml

from lightning_recipes.compat.lightning import progress_in
from lightning_recipes.errors import UserError
from lightning_recipes.run.reader import newest_recipe
from lightning_recipes.run.resume.answers import recipe_answers
from lightning_recipes.run.resume.rules import Answer
from lightning_recipes.run.resume.stages import Reached

__all__ = ["answers_for", "refuse_what_cannot_be"]


def _recipe_of(checkpoint: Path) -> Path | None:
    return newest_recipe(checkpoint.parent) or newest_recipe(checkpoint.absolute().parent.parent)


def answers_for(checkpoint: Path, recipe: str) -> list[Answer]:
    """Return an answer for each difference between a recipe and the one that lies in the checkpoint's run.

    Args:
        checkpoint: The file to go on from, ``RUN/checkpoints/last.ckpt``; where no recipe lies beside it or in the
            folder above, nothing is compared.
        recipe: The recipe to go on with, as YAML.
    """
    path = _recipe_of(checkpoint)
    if path is None:
        return []
    old, new = yaml.safe_load(path.read_text(encoding="utf-8")), yaml.safe_load(recipe)
    if not isinstance(old, dict) or old == new:
        return []
    reached = _reached(checkpoint)
    return [] if reached is None else recipe_answers(old, new, reached)


def refuse_what_cannot_be(checkpoint: Path, recipe: str) -> None:
    """Refuse a recipe that the run of a checkpoint cannot go on with; writes nothing.

    Raises:
        UserError: Names every key that is in the way, and what to do.
    """
    refused = [answer for answer in answers_for(checkpoint, recipe) if answer.kind == "refused"]
    if refused:
        keys: dict[str, list[str]] = {}
        for answer in refused:
            keys.setdefault(answer.text, []).append(answer.key)
        lines = "; ".join(f"{', '.join(names)}: {text}" for text, names in keys.items())
        raise UserError(f"{lines} (the run has its values in {_recipe_of(checkpoint)})")


def _reached(checkpoint: Path) -> Reached | None:
    """Return how far a checkpoint has come; None for a file that is none of a run, which the trainer will refuse."""
    try:
        saved: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        progress = progress_in(saved)
    except Exception:  # whatever is wrong with the file is said where it is read
        return None
    changes = tuple((str(kind), int(epoch)) for kind, epoch in saved.get("plan_changes", []))
    return Reached(progress.epochs, progress.inside, changes, tuple(map(int, saved.get("stage_epochs", []))))
