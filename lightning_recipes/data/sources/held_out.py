"""How validation images are drawn from data that bring none."""

from dataclasses import dataclass

from lightning_recipes.data.sources.folds import draw_fold
from lightning_recipes.data.sources.groups import draw_validation
from lightning_recipes.data.sources.source import ImageSource, Subset

__all__ = ["HeldOut"]


@dataclass(frozen=True)
class HeldOut:
    """Which images are held out; arguments as in :class:`lightning_recipes.data.datamodule.ImageDataModule`."""

    val_fraction: float = 0.2
    split_seed: int = 0
    group: str | None = None
    folds: int | None = None
    fold: int = 0

    def of(self, source: ImageSource) -> tuple[Subset, Subset]:
        """Split a source into training and validation images.

        Raises:
            UserError: A side would lack a class.
        """
        if self.folds is not None:
            return draw_fold(source, self.folds, self.fold, self.split_seed, self.group)
        return draw_validation(source, self.val_fraction, self.split_seed, self.group)
