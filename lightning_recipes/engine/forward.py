"""A batch through the network outside of a step, as the trainer would take it: its device, its precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from lightning_recipes.modules.protocols import GivesProbabilities

__all__ = ["in_eval_mode", "logits_of", "on_device"]


def on_device(trainer: pl.Trainer, batch: Any) -> Any:
    """Return a batch of a loader where the trainer computes, in the kind of number that it computes with."""
    return trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))


@torch.no_grad()
def logits_of(trainer: pl.Trainer, module: GivesProbabilities, batch: Any) -> Tensor:
    """Return the logits (N, C) of a batch that is on the device, in the mode that the module is in."""
    with trainer.precision_plugin.forward_context():
        return module.logits_of(batch)


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Have a module in eval mode inside, and each of its layers in its own mode again behind it."""
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode
