"""Checkpoints are written whole or not at all."""

import io
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from lightning.fabric.plugins import TorchCheckpointIO
from typing_extensions import override

from lightning_recipes.atomic_io import whole_file

__all__ = ["WholeCheckpointIO", "use_whole_checkpoints"]


class WholeCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place, flush it, then rename it.

    Lightning's own writes into the temporary folder first: from another file system it is copied over the old one, and
    a kill in between leaves neither. Where a path is not on a local disk (``s3://...``), Lightning's is used.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
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
