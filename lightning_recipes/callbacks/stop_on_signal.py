"""A training that is asked to stop by a signal ends after its step, with nothing lost."""

from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.engine.stop_signals import Stopped, StopSignals
from lightning_recipes.stages.step_count import validates_after

__all__ = ["StopOnSignal"]


class StopOnSignal(pl.Callback):
    """Stop a training at the first moment after a signal from which it can go on to the bit.

    That is the end of an optimizer step inside an epoch, or the end of the epoch with its validation. The processes of
    a training agree on it, whichever of them got the signal. To be listed first: what it asks for at the end of a batch
    is done by the callbacks after it, and nothing of the next batch or epoch begins before it stops.

    Args:
        signals: Hears them.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals
        self.stopping = 0
        """Number of the signal once it is settled that this batch is the last, 0 before."""
        self.trained = False
        """Whether there was a batch at all."""

    @override
    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen again: Lightning's own handler, which it has set by now, stops without saving."""
        self.signals.listen()

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen again, also where there is no sanity check."""
        self.signals.listen()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop between two epochs; until the first batch there is nothing to save, on one process."""
        self._stop_if(self._agreed(trainer))
        self.signals.patient = trainer.world_size > 1

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop between two batches."""
        self._stop_if(self.stopping)
        self.signals.patient = self.trained = True

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Settle whether this batch is the last."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and not trainer.is_last_batch and not validates_after(trainer, batch_idx):
            self.stopping = self._agreed(trainer)

    def _agreed(self, trainer: pl.Trainer) -> int:
        if trainer.world_size == 1:
            return self.signals.received
        mine = torch.tensor(self.signals.received, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(mine, reduce_op="max"))

    def _stop_if(self, number: int) -> None:
        if number:
            self.signals.received = self.signals.received or number
            raise Stopped(number, together=True)
