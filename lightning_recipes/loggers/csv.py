"""``metrics.csv``: every figure that is logged, a row at a time, on the disk at once, and right after a resume.

Lightning's ``CSVLogger`` deletes the file when a run is continued in its folder, and loses up to a hundred steps when
the process is killed; hence one of our own.
"""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lightning_recipes.atomic_io import named_failures, whole_file

__all__ = ["MetricsCSV"]


class MetricsCSV(Logger):
    """Append what is logged to ``metrics.csv``.

    Columns are added as they come. A run that goes on from a checkpoint replaces the rows from there on, so the file
    reads as if it had never been stopped.

    Args:
        folder: The run's folder; made when the first row is written.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] = []
        self._begun = False

    @property
    @override
    def name(self) -> str:
        """Empty, so that a ``ModelCheckpoint`` without a folder writes into the run's ``checkpoints/``."""
        return ""

    @property
    @override
    def version(self) -> str:
        """A file has no versions."""
        return ""

    @property
    @override
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @override
    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Leave them out: ``config.yaml`` beside it holds them."""

    @override
    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write one row."""
        row = {"step": step, **{name: float(value) for name, value in metrics.items()}}
        if "epoch" in metrics:
            row["epoch"] = int(metrics["epoch"])
        if not self._begun:
            self._begin(0 if step is None else step)
        new = [name for name in row if name not in self._columns]
        if new:
            rows = self._read()
            self._columns = [*self._columns, *new]
            self._write(rows)
        self._append(row)

    def _append(self, row: Mapping[str, object]) -> None:
        """Add a row whole, or not at all where the disk is full."""
        size = self.path.stat().st_size
        with named_failures(self.path):
            try:
                with self.path.open("a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, self._columns).writerow(row)
            except OSError:
                os.truncate(self.path, size)
                raise

    def _begin(self, step: int) -> None:
        """Keep the rows of an earlier session before ``step``; a row that a kill cut short is not among them."""
        self._begun = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row for row in self._read() if (row.get("step") or "").isdigit() and int(row["step"]) < step]
        self._columns = list(rows[0]) if rows else ["epoch", "step"]
        self._write(rows)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a last row that was cut short can look like one of an earlier step
        return [row for row in csv.DictReader(io.StringIO(whole, newline="")) if None not in row]

    def _write(self, rows: list[dict[str, str]]) -> None:
        with whole_file(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
