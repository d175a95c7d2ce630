"""Gradient noise: annealed Gaussian noise on the gradients of every optimizer step.

Source: Neelakantan et al. (2015), "Adding Gradient Noise Improves Learning for Very Deep Networks", section 3.
"""

from collections.abc import Iterable

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.keyed_steps import optimizer_step_key
from lightning_recipes.optim.gradients import gradients_of, require_unscaled_gradients
from lightning_recipes.randomness import generator_for

__all__ = ["GradientNoise", "add_noise_", "noise_std"]


def noise_std(step: int, *, eta: float, gamma: float) -> float:
    """Return the standard deviation at an optimizer step: the root of the paper's variance ``eta / (1 + step)^gamma``.

    Example:
        >>> [round(noise_std(step, eta=0.01, gamma=0.55), 4) for step in (0, 99, 9999)]
        [0.1, 0.0282, 0.0079]
    """
    return float((eta / (1 + step) ** gamma) ** 0.5)


def add_noise_(parameters: Iterable[nn.Parameter], std: float, generator: torch.Generator) -> None:
    """Add N(0, std^2) to each gradient in place; parameters without a gradient stay without.

    Args:
        parameters: Of any shape, all on the generator's device.
        std: In the unit of the gradient, >= 0.
        generator: Consumed in the order of ``parameters``.
    """
    for gradient in gradients_of(parameters):
        noise = torch.randn(gradient.shape, generator=generator, device=gradient.device, dtype=gradient.dtype)
        gradient.add_(noise, alpha=std)


class GradientNoise(pl.Callback):
    """Perturb the gradients of every optimizer step, ``g += N(0, eta / (1 + step)^gamma)``, to leave plateaus.

    Acts on unscaled, accumulated, rank-averaged gradients. Keeps no state: the noise is a function of (seed, step), so
    a resumed run is exact and all ranks add the same. Drawing is slow on a CPU: a sixth of a ResNet-18's step.

    Source: Neelakantan et al. (2015), section 3.

    When: deep networks trained from scratch that stall early.
    Not with: short fine-tuning, where the noise outweighs the small gradients.

    Args:
        eta: Variance at step 0, > 0. The paper tries 0.01, 0.3 and 1.0.
        gamma: Decay exponent, >= 0; the paper's is 0.55, 0 keeps the variance constant.

    Raises:
        UserError: ``eta`` or ``gamma`` out of range; at the start of a fit, a fused optimizer under FP16.
    """

    def __init__(self, eta: float = 0.01, gamma: float = 0.55) -> None:
        refuse_bad_values(
            "GradientNoise",
            ("eta", eta, eta > 0, "a variance > 0"),
            ("gamma", gamma, gamma >= 0, "an exponent >= 0"),
        )
        self.eta, self.gamma = eta, gamma

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse gradients that cannot be seen."""
        require_unscaled_gradients(trainer, "GradientNoise")

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Add this step's noise."""
        # No rank in the key: the gradients are averaged already, other noise on each rank would part the replicas.
        generator = generator_for("gradient_noise", *optimizer_step_key(trainer, pl_module), device=pl_module.device)
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        add_noise_(parameters, noise_std(trainer.global_step, eta=self.eta, gamma=self.gamma), generator)
