"""Where a run lives: a folder of its own that is never overwritten."""

import os
from pathlib import Path

from lightning_recipes.errors import UserError

__all__ = ["choose_run_folder", "holds_run", "last_checkpoint"]

RUNS = Path("runs")


def holds_run(folder: Path) -> bool:
    """Tell whether a folder holds a run, whole or not."""
    return any((folder / name).exists() for name in ("config.yaml", "summary.json", "metrics.csv", "checkpoints"))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint to go on from, or None where the run has not written one yet."""
    path = folder / "checkpoints" / "last.ckpt"
    return path if path.is_file() else None


def choose_run_folder(run_dir: str | None, recipe: str, *, config: Path | None = None, resume: bool = False) -> Path:
    """Return the folder of a run; makes nothing yet.

    Args:
        run_dir: The folder that was asked for; without it, the next free number in ``runs/<recipe>/``.
        recipe: What the run is called.
        config: The recipe's file; to go on, the run that it lies in comes before the newest of its name.
        resume: Go on with the run that is there.

    Raises:
        UserError: The folder holds a run that is not to be continued, or cannot be written.
    """
    if run_dir is not None:
        folder = Path(run_dir)
        if not resume and holds_run(folder):
            raise UserError(
                f"run_dir: '{run_dir}' holds a run; go on with it by --ckpt_path last, or name another folder"
            )
    elif resume and config is not None and config.name == "config.yaml" and holds_run(config.parent):
        folder = config.parent
    else:
        numbers = [int(p.name) for p in (RUNS / recipe).glob("*") if p.name.isdigit()]
        folder = RUNS / recipe / str(max(numbers, default=-1) + (0 if resume and numbers else 1))
    _check_writable(folder)
    return folder


def _check_writable(folder: Path) -> None:
    """Say before the training, not after it, that nothing could be saved."""
    above = folder
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise UserError(f"run_dir: '{above}' is a file; name a folder that can be written")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"run_dir: '{above}' cannot be written; name another folder by --run_dir")
