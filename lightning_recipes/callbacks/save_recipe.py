"""``config.yaml``: the recipe as it was run, kept with the run."""

from pathlib import Path

import lightning.pytorch as pl
from typing_extensions import override

__all__ = ["SaveRecipe"]


class SaveRecipe(pl.Callback):
    """Write the recipe into the run's folder when training is about to begin.

    Not sooner, so that a run that is refused leaves nothing behind. A run that goes on with another recipe keeps the
    first and writes ``config-1.yaml``, ``config-2.yaml`` ... beside it.

    Args:
        folder: The run's folder.
        text: The recipe.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.text = folder, text

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, unless it is there already."""
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        number, path = 0, self.folder / "config.yaml"
        while path.exists():
            if path.read_text() == self.text:
                return
            number += 1
            path = self.folder / f"config-{number}.yaml"
        path.write_text(self.text)
