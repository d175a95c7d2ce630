"""From where a run goes on: its last checkpoint, or the one before where that is damaged, and what to say of it."""

from pathlib import Path

from lightning_recipes.compat.lightning import progress_in
from lightning_recipes.errors import UserError
from lightning_recipes.models.checkpoint_file import damage_of, read_checkpoint
from lightning_recipes.run.reader import RunContents

__all__ = ["last_checkpoint", "nothing_left"]


def last_checkpoint(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the checkpoint to go on from and what to tell the user; None where the run has not written one yet.

    Args:
        folder: The run's.

    Raises:
        UserError: There are checkpoints, and none of them can be used.
    """
    said: list[str] = []
    for name in ("last.ckpt", "previous.ckpt"):
        path = folder / "checkpoints" / name
        if not path.is_file():
            continue
        problem = _problem(path)
        if not problem:
            return path, [*said, f"Goes on from {path}: {_progress(path)}.{_was_finished(folder)}"]
        said.append(f"{path} cannot be used: {problem}.")
    if said:
        raise UserError(
            f"ckpt_path: {' '.join(said)} Begin anew in another folder"
            f" (from its best weights by --model.pretrained {folder / 'checkpoints' / 'best.ckpt'})"
        )
    return None, [f"{folder} holds no checkpoint to go on from: the run starts from the beginning."]


def _problem(path: Path) -> str:
    """Say why a training cannot go on from a file, or return an empty string."""
    if wrong := damage_of(path):
        return wrong
    try:
        saved = read_checkpoint(path)
    except UserError:
        return "it is no checkpoint of a run"
    missing = {"loops", "optimizer_states"} - set(saved)
    return "it holds weights alone, without the state of a training" if missing else ""


def _progress(path: Path) -> str:
    """How far the training was when a checkpoint was written."""
    saved = read_checkpoint(path)
    at = progress_in(saved)
    part = f" and {_counted(at.batches, 'batch', 'batches')} of the next" if at.inside and at.batches else ""
    return f"{_counted(at.epochs, 'epoch', 'epochs')}{part} done, step {saved['global_step']}"


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _was_finished(folder: Path) -> str:
    return " The run was finished; there is more to do only if its plan is longer now." * bool(
        RunContents(folder).summary.get("finished")
    )


def nothing_left(epochs: int) -> str:
    """Say that a run that went on had been done already, and how to train it longer."""
    return (
        f"Nothing was left to train: all {epochs} epochs of the plan were done."
        " To go on, give its last stage more epochs, or a higher --trainer.max_epochs where there are none."
    )
