"""L1 regularisation: weights that do not earn their size shrink to zero."""

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.compat.torch import add_each_, sign_of_each
from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.keyed_steps import is_trial
from lightning_recipes.optim.gradients import gradients_of, require_unscaled_gradients

__all__ = ["L1"]


class L1(pl.Callback):
    """Add the gradient of ``strength * sum |w|``, which is ``strength * sign(w)``, before the optimizer step.

    Of all weights that have weight decay: no biases and no norm weights, and nothing that is frozen. The loss that is
    logged is without the penalty. Callbacks that change gradients act in the order of the list: before
    ``GradientClipping`` the penalty is clipped along.

    Source: Tibshirani (1996), "Regression Shrinkage and Selection via the Lasso"; Goodfellow et al. (2016), "Deep
    Learning", section 7.1.2. Every k steps, k times as strong: Karras et al. (2020), "Analyzing and Improving the Image
    Quality of StyleGAN", section 3.1, "Lazy regularization".

    When: features or weights are many and few should count, as in a linear head.
    Not with: AdamW and its kin in place of their weight decay: the step is divided by the gradient's size, and L1 with
    it.

    Args:
        strength: In units of the loss per unit of weight, > 0; 1e-5 is a start.
        every_n_steps: Optimizer steps k between penalties, >= 1: each is ``k * strength * sign(w)``, so that it comes
            to the same. A penalty is three passes over all weights, two to four percent of a ResNet-18's step on a CPU.

    Raises:
        UserError: A value is out of range; at the start of a fit, a fused optimizer under FP16.
    """

    def __init__(self, strength: float = 1e-5, every_n_steps: int = 8) -> None:
        refuse_bad_values(
            "L1",
            ("strength", strength, 0 < strength < float("inf"), "a number > 0"),
            ("every_n_steps", every_n_steps, every_n_steps >= 1, "a number >= 1"),
        )
        self.strength, self.every_n_steps = strength, every_n_steps

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
        # A trial does not count steps: the penalty is in each of its steps, which comes to the same.
        every = 1 if is_trial(pl_module) else self.every_n_steps
        if (trainer.global_step + 1) % every:
            return
        for group in optimizer.param_groups:
            if not group.get("name", "").endswith("/no_decay"):
                trained = [p for p in group["params"] if p.grad is not None]
                if trained:
                    add_each_(gradients_of(trained), sign_of_each(trained), times=self.strength * every)
