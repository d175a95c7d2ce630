"""Values of a parsed recipe that would fail later, in numpy, the operating system or Lightning, without their key."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lightning_recipes.errors import UserError

__all__ = ["check_config", "check_folder"]

SECTIONS = ("trainer", "best_checkpoint", "last_checkpoint", "errors", "gradcam", "wandb")
LARGEST_SEED = 2**32 - 1  # what NumPy takes
LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "log_every_n_steps": 0, "num_nodes": 1}
"""Of the trainer's numbers, where Lightning takes any and fails in the training."""


def check_config(config: Any) -> None:
    """Refuse what no type says.

    Args:
        config: Of the command: the recipe and the command line.

    Raises:
        UserError: A seed that NumPy does not take, a section without keys, a number that is too small, or a folder
            that cannot be made.
    """
    seed = config.seed_everything
    if not isinstance(seed, bool) and not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed_everything: {seed} is not a number from 0 to {LARGEST_SEED}")
    for key in SECTIONS:
        if key in config and not isinstance(config[key], Namespace):
            raise UserError(f"{key}: has no keys below it; give some, or leave it out")
    for key, least in LEAST.items():
        if config.trainer[key] is not None and config.trainer[key] < least:
            raise UserError(f"trainer.{key}: {config.trainer[key]} is not a number >= {least}")
    if not (config.trainer.val_check_interval or 1) > 0 or config.trainer.val_check_interval == 0:
        raise UserError(f"trainer.val_check_interval: {config.trainer.val_check_interval} is not a number > 0")
    if config.run_dir is not None:
        check_folder("run_dir", config.run_dir)
    elif config.recipe is not None:
        check_folder("recipe", os.path.join("runs", config.recipe))


def check_folder(key: str, given: str) -> None:
    """Refuse a folder that is not there and cannot be made, by making one beside it for a moment.

    What a process may write is more than a file's mode: ``/proc`` lets root write by its mode, and takes no folder.

    Args:
        key: That gave the folder.
        given: Its path.

    Raises:
        UserError: Names the key and what stands in the way.
    """
    folder = Path(given)
    if not given.strip() or "\0" in given:
        raise UserError(f"{key}: {given!r} is no name of a folder; give one")
    try:
        above, parts = _nearest_above(folder)
        long = _too_long(above, parts)
        if long:
            raise UserError(
                f"{key}: a name of {len(long)} letters is longer than the file system takes; give a shorter one"
            )
        with tempfile.TemporaryDirectory(prefix=".tmp", dir=above):
            pass
    except OSError as error:
        raise UserError(f"{key}: '{given[:80]}' cannot be written ({error.strerror}); name another folder") from None


def _nearest_above(folder: Path) -> tuple[Path, Sequence[str]]:
    """Return the deepest folder that exists, and the names below it that do not."""
    parts: list[str] = []
    while not os.path.lexists(folder):
        parts.append(folder.name)
        folder = folder.parent
    return folder, parts


def _too_long(above: Path, parts: Sequence[str]) -> str:
    if not hasattr(os, "pathconf"):
        return ""
    limit, whole = os.pathconf(above, "PC_NAME_MAX"), os.pathconf(above, "PC_PATH_MAX")
    deepest = os.path.join(os.path.abspath(above), *parts, "checkpoints", "best.ckpt")
    return next((part for part in [*parts] if len(os.fsencode(part)) > limit), deepest if len(deepest) > whole else "")
