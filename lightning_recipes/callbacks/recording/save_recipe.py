"""``config.yaml``: the recipe as it was run, kept with the run."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lightning_recipes.atomic_io import whole_file
from lightning_recipes.run.reader import newest_recipe
from lightning_recipes.run.resume.folder import answers_for

__all__ = ["SaveRecipe"]


class SaveRecipe(pl.Callback):
    """Write the recipe into the run's folder when training is about to begin.

    Not sooner, so that a run that is refused leaves nothing behind. A run that goes on with another recipe keeps the
    first, writes ``config-1.yaml``, ``config-2.yaml`` ... beside it, and says of each key that is different what
    becomes of it.

    Args:
        folder: The run's folder.
        text: The recipe, as YAML.
        checkpoint: The checkpoint that the run goes on from, in this folder or another run's (default: none).
    """

    def __init__(self, folder: Path, text: str, checkpoint: str | None = None) -> None:
        self.folder, self.text, self.checkpoint = folder, text, checkpoint

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what is different, then write the file, unless the newest one is the same."""
        if not trainer.is_global_zero:
            return
        self._say_what_changes()
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        newest = newest_recipe(self.folder)
        if newest is not None and newest.read_text(encoding="utf-8") == self.text:
            return
        number = 0 if newest is None else int(newest.stem.partition("-")[2] or 0) + 1
        name = f"config-{number}.yaml" if number else "config.yaml"
        with whole_file(self.folder / name) as part:
            part.write_text(self.text, encoding="utf-8")

    def _say_what_changes(self) -> None:
        if self.checkpoint is None:
            return
        answers = [answer for answer in answers_for(Path(self.checkpoint), self.text) if answer.kind != "silent"]
        if answers:
            lines = "".join(f"\n  {answer}" for answer in answers)
            rank_zero_warn(f"this run goes on with another recipe than it was last trained with:{lines}")
