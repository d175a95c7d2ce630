"""A checkpoint's file: read without running code, and looked at before a run goes on from it."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_crc32_options

from lightning_recipes.errors import UserError
from lightning_recipes.models.snapshot_files import Snapshot

__all__ = ["damage_of", "read_checkpoint"]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint or snapshot holds, its tensors mapped and not read yet where the format allows it.

    Raises:
        UserError: The file is not there, not whole, or no checkpoint of a run.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(
            f"ckpt_path: '{path}' does not exist; give a checkpoint file, such as RUN/checkpoints/best.ckpt"
        )
    if file.suffix == ".safetensors":
        checkpoint: Any = Snapshot(file).checkpoint()
    else:
        try:
            checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # truncated and foreign files fail in every way there is
            reason = f"{type(error).__name__}" if file.stat().st_size else "it is empty"
            raise UserError(
                f"ckpt_path: '{path}' cannot be read as a checkpoint ({reason}); is it whole, and one of a run?"
            ) from error
    if not isinstance(checkpoint, Mapping) or not isinstance(checkpoint.get("state_dict"), Mapping):
        raise UserError(f"ckpt_path: '{path}' is no checkpoint of a run; give one, or name weights by model.pretrained")
    return dict(checkpoint)


def damage_of(path: Path, *, every_byte: bool = True) -> str:
    """Say what is wrong with a checkpoint's file as a file, or return an empty string.

    Args:
        path: The file.
        every_byte: Check the content against the sums that PyTorch writes, too: after a power failure, a file can have
            its full length and be empty inside.
    """
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with zipfile.ZipFile(path) as archive:
            spoilt = archive.testzip() if every_byte and get_crc32_options() else None
    except (zipfile.BadZipFile, EOFError, OSError):
        return "it is cut short, or no checkpoint"
    return f"{spoilt} in it is damaged" if spoilt else ""
