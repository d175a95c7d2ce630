"""What Lightning gives a trainer by itself: a checkpoint and a logger."""

from contextlib import suppress
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

__all__ = ["is_default_checkpoint", "is_default_logger", "remove_empty_folder"]


def is_default_checkpoint(callback: pl.Callback) -> bool:
    """Tell whether a callback is the ``ModelCheckpoint`` that a trainer has where none was asked for.

    One that a user made without arguments is the same to the last attribute, and taken for it.
    """
    if type(callback) is not ModelCheckpoint:
        return False
    return all(vars(callback).get(name) == value for name, value in vars(ModelCheckpoint()).items())


def is_default_logger(trainer: pl.Trainer, logger: Logger) -> bool:
    """Tell whether a logger is the one that a trainer has where none was asked for."""
    if type(logger) not in (CSVLogger, TensorBoardLogger):
        return False
    return logger.name == "lightning_logs" and logger.save_dir == trainer.default_root_dir


def remove_empty_folder(logger: Logger) -> None:
    """Remove the folder that a logger makes before any hook is called, and the one around it, if they are empty."""
    folder = Path(logger.log_dir or "")
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
