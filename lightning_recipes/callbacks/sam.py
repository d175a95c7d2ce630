"""Sharpness-aware minimisation: the gradient from the worst point nearby, so that training ends in flat minima."""

from collections.abc import Sequence

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.protocols import require_one_loss, require_staged, staged_of

__all__ = ["SAM", "ascent_"]


@torch.no_grad()
def ascent_(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None], rho: float) -> list[Tensor]:
    """Move parameters by ``rho g / ||g||`` in place, the norm that of all gradients together; return what they were.

    Where the gradient is zero or no number, nothing moves.

    Args:
        parameters: Of any shape.
        gradients: One a parameter, up to a common factor > 0; None moves nothing.
        rho: Length of the step, in units of the weights.
    """
    before = [parameter.detach().clone() for parameter in parameters]
    known = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
    if not known:
        return before
    norm = torch.stack([gradient.float().norm() for _, gradient in known]).norm()
    scale = torch.where((norm > 0) & norm.isfinite(), rho / norm, 0.0)
    for parameter, gradient in known:
        parameter.add_((gradient.float().nan_to_num(0.0, 0.0, 0.0) * scale).to(parameter.dtype))
    return before


class SAM(pl.Callback):
    """Take the gradient of each batch at ``w + rho g / ||g||`` in place of w, g being the gradient at w.

    Two passes a batch, so a step takes about twice as long. The second sees the same images with the same dropout, and
    leaves batch-norm statistics and metrics as the first has left them: what is logged is the loss at w. Each batch of
    an accumulated step, and each process, moves by its own gradient ("m-sharpness", section 4.1 of the paper). Whatever
    changes gradients, such as clipping, sees those of the second pass. Keeps no state; a learning rate finder tests
    with it.

    Source: Foret et al. (2021), "Sharpness-Aware Minimization for Efficiently Improving Generalization", equation 2 and
    algorithm 1.

    When: long trainings from scratch, small data, wrong labels. Not with: few epochs, or where twice the time buys a
    larger network.

    Args:
        rho: Length of the step to the worst point, in units of the weights, > 0. The paper's 0.05 is the default.

    Raises:
        UserError: ``rho`` is out of range; at the start of a fit, the module is not staged; after its first step, the
            module has a ``training_step`` of its own that takes no second pass.
    """

    def __init__(self, rho: float = 0.05) -> None:
        refuse_bad_values("SAM", ("rho", rho, 0 < rho < float("inf"), "a length > 0"))
        self.rho = rho
        self._asked = False
        self._moved: list[tuple[nn.Parameter, Tensor]] = []

    def climb(self, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
        """Move the weights up; :meth:`on_after_backward` brings them back."""
        self._asked = True
        self._moved = list(zip(parameters, ascent_(parameters, gradients, self.rho), strict=True))

    @torch.no_grad()
    def _back(self) -> None:
        for parameter, before in self._moved:
            parameter.copy_(before)
        self._moved = []

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask for the first pass."""
        require_one_loss(pl_module, "SAM").additions.first_pass = self.climb

    @override
    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the weights back after the last part of the batch."""
        if require_staged(pl_module, "SAM").backwards_left <= 1:
            self._back()

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Refuse a training step that takes one pass, in silence."""
        if not self._asked:
            raise UserError(
                f"SAM: the training_step of {type(pl_module).__name__} takes one pass; give it a training_loss in its "
                "place, or leave SAM out"
            )

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Bring the weights back, before anybody saves them."""
        self._back()

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take one pass again."""
        if (module := staged_of(pl_module)) is not None:
            module.additions.first_pass = None
