"""Max-norm regularisation: no unit's weights grow longer than a limit."""

import functools
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.keyed_steps import is_trial

__all__ = ["MaxNorm", "limit_norms_"]


@torch.no_grad()
def limit_norms_(weights: Iterable[nn.Parameter], limit: float) -> None:
    """Scale every unit whose weights are longer than ``limit`` back to it, ``w <- w * limit / ||w||``, in place.

    Args:
        weights: Of two and more dimensions; the first counts the units.
        limit: Largest 2-norm of a unit's incoming weights, > 0.
    """
    for weight in weights:
        norms = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
        if weight.device.type != "cpu" or bool((norms > limit).any()):
            weight.mul_((limit / norms.clamp_min(1e-12)).clamp_max_(1.0))


class MaxNorm(pl.Callback):
    """Keep the incoming weights of every unit within a ball, ``w <- w * c / ||w||`` where ``||w|| > c``.

    Right after an optimizer step, before anything else sees the weights, whatever the order of the list; also after the
    last step of an epoch. Only what trains; no biases and no norm weights. Keeps no state.

    Source: Srivastava et al. (2014), "Dropout", section 5.1.

    When: with dropout and a high rate, from scratch.
    Not with: pretrained weights whose units are longer already: the first step would cut them (a limit above their
    longest does no harm).

    Args:
        limit: c, > 0. The paper uses 3 to 4.
        every_n_steps: Optimizer steps between looks, >= 1; in between a unit can leave the ball by what so few steps
            move it. A look is a pass over all weights, about one percent of a ResNet-18's step on a CPU.

    Raises:
        UserError: A value is out of range.
    """

    def __init__(self, limit: float = 3.0, every_n_steps: int = 4) -> None:
        refuse_bad_values(
            "MaxNorm",
            ("limit", limit, limit > 0, "a norm > 0"),
            ("every_n_steps", every_n_steps, every_n_steps >= 1, "a number >= 1"),
        )
        self.limit, self.every_n_steps = limit, every_n_steps
        self._hooks: list[Any] = []

    def _after_step(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer, *_: Any) -> None:
        left_out = (trainer.global_step + 1) % self.every_n_steps and not trainer.is_last_batch
        if left_out and not is_trial(module):  # which does not count steps
            return
        weights = (p for group in optimizer.param_groups for p in group["params"])
        limit_norms_((p for p in weights if p.ndim > 1 and p.grad is not None), self.limit)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Follow the optimizer."""
        after_step = functools.partial(self._after_step, trainer, pl_module)
        self._hooks = [optimizer.register_step_post_hook(after_step) for optimizer in trainer.optimizers]

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let go of the optimizer."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
