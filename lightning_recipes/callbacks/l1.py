"""L1 regularisation: weights that do not earn their size shrink to zero."""

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.errors import UserError
from lightning_recipes.optim.gradients import require_unscaled_gradients

__all__ = ["L1"]


class L1(pl.Callback):
    """Add the gradient of ``strength * sum |w|``, which is ``strength * sign(w)``, once an optimizer step.

    Of all weights that have weight decay: no biases and no norm weights, and nothing that is frozen. The loss that is
    logged is without the penalty. Callbacks that change gradients act in the order of the list: before
    ``GradientClipping`` the penalty is clipped along.

    Source: Tibshirani (1996), "Regression Shrinkage and Selection via the Lasso"; Goodfellow et al. (2016), "Deep
    Learning", section 7.1.2.

    When: features or weights are many and few should count, as in a linear head.
    Not with: AdamW and its kin in place of their weight decay: the step is divided by the gradient's size, and L1 with
    it.

    Args:
        strength: In units of the loss per unit of weight, > 0; 1e-5 is a start.

    Raises:
        UserError: ``strength`` is out of range; at the start of a fit, a fused optimizer under FP16.
    """

    def __init__(self, strength: float = 1e-5) -> None:
        if not 0 < strength < float("inf"):
            raise UserError(f"L1.strength: {strength} is not a number > 0")
        self.strength = strength

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse gradients that cannot be seen."""
        require_unscaled_gradients(trainer, "L1")

    @override
    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Add the penalty's gradient."""
        for group in optimizer.param_groups:
            if not group.get("name", "").endswith("/no_decay"):
                trained = [p for p in group["params"] if p.grad is not None]
                if trained:
                    signs = torch._foreach_sign(trained)
                    torch._foreach_add_([p.grad for p in trained], signs, alpha=self.strength)
