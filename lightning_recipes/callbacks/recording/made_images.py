"""``figures/made_images.png``: what the run's best checkpoint makes of each class."""

from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lightning_recipes.engine.best import best_of
from lightning_recipes.errors import UserError
from lightning_recipes.figures.contact_sheet import class_sheet
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.modules.load import load
from lightning_recipes.modules.protocols import MakesImages, offers

__all__ = ["MadeImages"]

IMAGES, CLASSES = 8, 20
"""Of a class, and of the sheet at most."""
SEED = 0


class MadeImages(pl.Callback):
    """Draw what a module that makes images has made in the end; of any other module nothing.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet of a whole run."""
        self._draw(trainer, pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Draw that of a run that was stopped."""
        if trainer.state.fn == "fit" and trainer.global_step > 0:
            with suppress(OSError):  # a disk that is full may be the reason
                self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        best = best_of(trainer)
        if not trainer.is_global_zero or trainer.fast_dev_run or best is None:  # type: ignore[attr-defined]
            return
        if not offers(module, MakesImages):
            return
        try:
            model = cast(MakesImages, load(best.path))
        except UserError as error:  # such as of a class that cannot be imported: the run is none the worse
            rank_zero_warn(f"made_images.png: not drawn ({error})")
            return
        figure = class_sheet(_rows(model), title=f"Made by the weights of epoch {best.epoch}")
        path = self.folder / "figures" / "made_images.png"
        save_figure(figure, path, key="made_images", loggers=trainer.loggers)


def _rows(model: MakesImages) -> list[tuple[str, list[Any]]]:
    rows = []
    for label in range(min(model.num_classes, CLASSES)):
        images = model.generate(torch.full((IMAGES,), label), SEED + label)
        name = model.class_names[label] if model.class_names else str(label)
        rows.append((name, list(images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())))
    return rows
