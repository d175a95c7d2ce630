"""What a model says of the images of a split, a row an image, in a CSV file that runs are compared by."""

from pathlib import Path

from lightning_recipes.atomic_io import write_csv
from lightning_recipes.data.sources.content import content_hashes
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.engine.judgement import Rows
from lightning_recipes.modules.tasks import Task

__all__ = ["PredictionTable"]


class PredictionTable:
    """Writes ``path``, the columns of the task, and ``sha256`` of each image's content, which is read once.

    Args:
        source: The images of the split; None where they are not known, as of a data module that is not ours.
        names: Of the classes.
    """

    def __init__(self, source: ImageSource | None, names: list[str]) -> None:
        self.source, self.names = source, names
        self._known: dict[int, str] = {}

    def write(self, path: Path, task: Task, rows: Rows) -> None:
        """Write the file, whole or not at all.

        Args:
            path: Of the file.
            task: What labels are.
            rows: What the task keeps of each image, with ``index``: its position in the split.
        """
        indices = rows["index"].tolist()
        columns, cells = task.prediction_rows(rows, self.names)
        named = [(str(i), "") for i in indices] if self.source is None else self._named(self.source, indices)
        table = ([name, *row, content] for (name, content), row in zip(named, cells, strict=True))
        write_csv(path, ["path", *columns, "sha256"], table)

    def _named(self, source: ImageSource, indices: list[int]) -> list[tuple[str, str]]:
        new = [index for index in indices if index not in self._known]
        self._known |= zip(new, content_hashes(source, new), strict=True)
        return [(str(source.paths[index]), self._known[index]) for index in indices]
