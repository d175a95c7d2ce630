"""Checkpoints on the disk: written whole or not at all, and looked at before a run goes on from one."""

import io
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from fsspec.core import url_to_fs  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from torch.serialization import get_crc32_options
from typing_extensions import override

from lightning_recipes.whole_files import whole_file

__all__ = ["WholeCheckpointIO", "damage_of", "use_whole_checkpoints"]


class WholeCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place, flush it, then rename it.

    Lightning's own writes into the temporary folder first: from another file system it is copied over the old one, and
    a kill in between leaves neither. Where a path is not on a local disk (``s3://...``), Lightning's is used.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write one file; in a failure the old one stays.

        Raises:
            WriteError: The disk is full, or the like.
        """
        system, local = url_to_fs(str(path))
        if not isinstance(system, LocalFileSystem) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # Into memory first, as Lightning does: PyTorch's writer hides the reason why a disk did not take a file.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with whole_file(Path(local)) as part, part.open("wb") as file:
            file.write(buffer.getbuffer())


def use_whole_checkpoints(trainer: pl.Trainer) -> None:
    """Let every checkpoint of a trainer be written whole; for the ``setup`` of callbacks that save some.

    A ``CheckpointIO`` of the user's own stays.
    """
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpointIO()


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
