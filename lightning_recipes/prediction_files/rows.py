"""Probabilities of many images: written by each process as they come, and read back in order, whatever their number."""

import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from lightning_recipes.atomic_io import named_failures
from lightning_recipes.data.batch import batch_length
from lightning_recipes.data.sources.progress import Progress, tell_nobody
from lightning_recipes.evaluation.prediction import Prediction

__all__ = ["PredictedRows", "RowWriter"]

AT_ONCE = 4096  # rows that are read together


class RowWriter(pl.Callback):
    """Writes what ``predict_step`` gives for each image to a file of its process; nothing stays in memory.

    Args:
        folder: Where the files are, for as long as they are needed.
        num_classes: C.
        progress: Told after each batch.
    """

    def __init__(self, folder: Path, num_classes: int, progress: Progress = tell_nobody) -> None:
        self.folder, self.num_classes, self.progress = folder, num_classes, progress
        self._file: BinaryIO | None = None
        self._run, self._done = 0, 0

    def path(self, rank: int) -> Path:
        """Return the file of a process."""
        return self.folder / f".predictions-{self._run}.rank{rank}"

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with an empty file, also where this process has no image."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = trainer.strategy.broadcast(os.getpid())  # another command may predict into this folder
        self._file, self._done = self.path(trainer.global_rank).open("wb"), 0

    @override
    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the rows of a batch."""
        assert self._file is not None
        rows = np.zeros(batch_length(batch), row_type(self.num_classes))
        rows["index"] = outputs["indices"].cpu().numpy()
        rows["probabilities"] = outputs["probabilities"].float().cpu().numpy()
        with named_failures(self.path(trainer.global_rank)):
            self._file.write(rows.tobytes())
        self._done += len(rows) * trainer.world_size
        total = len(trainer.datamodule.predict_source)  # type: ignore[attr-defined]
        self.progress("Predicting", min(self._done, total), total)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the file, so that all of it can be read."""
        if self._file is not None:
            self._file.close()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave nothing behind."""
        self.teardown(trainer, pl_module, "predict")
        self.path(trainer.global_rank).unlink(missing_ok=True)

    def remove(self, world_size: int) -> None:
        """Remove the files of all processes."""
        for rank in range(world_size):
            self.path(rank).unlink(missing_ok=True)


class PredictedRows:
    """What several processes have written, in the order of the images; can be gone over more than once.

    Args:
        paths: Files of the processes.
        num_classes: C.
        prediction: Makes one of the probabilities of an image.

    Attributes:
        unreadable: Positions of images that could not be read.
        count: Of those that could.
        without_numbers: Of these, those of which a probability is no number.
    """

    def __init__(self, paths: Sequence[Path], num_classes: int, prediction: Callable[[Tensor], Prediction]) -> None:
        self._paths, self._kind, self._prediction = paths, row_type(num_classes), prediction
        self.unreadable: list[int] = []
        self.count = self.without_numbers = 0
        for path in paths:
            for rows in self._read(path):
                self.unreadable += (~rows["index"][rows["index"] < 0]).tolist()
                there = rows["index"] >= 0
                self.count += int(there.sum())
                self.without_numbers += int((~np.isfinite(rows["probabilities"][there]).all(axis=1)).sum())
        self.unreadable.sort()

    def __iter__(self) -> Iterator[tuple[int, Prediction]]:
        """Yield the position of each image that could be read, and its prediction."""
        for index, probabilities in heapq.merge(*map(self._rows, self._paths), key=lambda row: row[0]):
            yield index, self._prediction(torch.from_numpy(probabilities))

    def _rows(self, path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for rows in self._read(path):
            for row in rows[rows["index"] >= 0]:
                yield int(row["index"]), row["probabilities"].copy()

    def _read(self, path: Path) -> Iterator[NDArray[np.void]]:
        with path.open("rb") as file:
            while len(rows := np.fromfile(file, self._kind, AT_ONCE)):
                yield rows


def row_type(num_classes: int) -> np.dtype[np.void]:
    """Return how a row lies in a file: the position of an image, and its probabilities."""
    return np.dtype([("index", "<i8"), ("probabilities", "<f4", (num_classes,))])
