"""Stochastic depth that grows: early epochs train the whole network, late ones drop more of its blocks."""

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.models.drop_path import DropPath, droppable_blocks
from lightning_recipes.modules.protocols import require_backbone, require_staged

__all__ = ["StochasticDepth", "ramp"]


def ramp(epoch: int, *, epochs: int, start: float) -> float:
    """Return the share of the full rates in an epoch: a line from ``start`` in the first to 1 in the last.

    Example:
        >>> [ramp(epoch, epochs=5, start=0.0) for epoch in range(5)]
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return start + (1 - start) * min(1.0, epoch / max(1, epochs - 1))


class StochasticDepth(pl.Callback):
    """Raise the rate at which residual blocks are dropped, over the epochs of the run, however it is known to end.

    Block l of L is dropped with probability ``rate * l / L * ramp(epoch)``; rate and the line over the depth are
    timm's, by ``model.backbone_kwargs.drop_path_rate``. Without this callback the rates are constant. Keeps no state:
    the rates are a function of the epoch. Frozen layers drop nothing.

    Source: Huang et al. (2016), "Deep Networks with Stochastic Depth", section 3, for the line over the depth; Tan and
    Le (2021), "EfficientNetV2", section 4, for regularisation that grows over the training.

    When: long trainings from scratch of deep networks. Not with: a few epochs of fine-tuning.

    Args:
        start: Share of the full rates in the first epoch, in [0, 1].

    Raises:
        UserError: ``start`` is out of range; at the start of a fit, the backbone drops no blocks.
    """

    def __init__(self, start: float = 0.0) -> None:
        refuse_bad_values("StochasticDepth", ("start", start, 0 <= start <= 1, "a share from 0 to 1"))
        self.start = start
        self._full: list[tuple[DropPath, float]] = []

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the blocks that can be dropped."""
        module = require_backbone(pl_module, "StochasticDepth")
        blocks = droppable_blocks(module.backbone)
        if not any(block.drop_prob for block in blocks):
            raise UserError(
                "StochasticDepth: this backbone drops no blocks; set model.backbone_kwargs: {drop_path_rate: 0.1}"
            )
        self._full = [(block, float(block.drop_prob or 0.0)) for block in blocks]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the rates; after a resume inside an epoch no epoch start will."""
        self._apply(trainer, pl_module)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the epoch's rates."""
        self._apply(trainer, pl_module)

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epochs = require_staged(pl_module, "StochasticDepth").epochs_to_train
        share = ramp(trainer.current_epoch, epochs=epochs, start=self.start)
        for block, rate in self._full:
            block.drop_prob = rate * share

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give every block its full rate back."""
        for block, rate in self._full:
            block.drop_prob = rate
        self._full = []
