"""Activation regularisation: features that are no larger than they need to be."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.protocols import require_backbone, require_staged, staged_of

__all__ = ["ActivationRegularization"]


class ActivationRegularization(pl.Callback):
    """Add ``strength * mean(h^2)`` to the training loss, h being what goes into the head, over images and features.

    The penalty is logged as ``activation_regularization``, apart from ``train_loss``. Where only the head trains it has
    no gradient. Keeps no state.

    Source: Merity et al. (2017), "Revisiting Activation Regularization for Language RNNs", section 3.1.

    When: features grow over a long training. Not with: a norm layer right before the head, which fixes their size.

    Args:
        strength: The paper's alpha, > 0; 0.01 to 2 by the size of the features.

    Raises:
        UserError: ``strength`` is out of range; at the start of a fit, the module has no head, or is not staged.
    """

    NAME = "activation_regularization"

    def __init__(self, strength: float = 0.1) -> None:
        right = 0 < strength < float("inf")
        refuse_bad_values("ActivationRegularization", ("strength", strength, right, "a number > 0"))
        self.strength = strength
        self._features: Tensor | None = None
        self._hook: Any = None

    def _see(self, head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if head.training:
            self._features = inputs[0]

    def penalty(self) -> Tensor:
        """Return the penalty of the last batch that went through the head, a scalar."""
        assert self._features is not None
        value = self.strength * self._features.float().square().mean()
        self._features = None  # keeps no graph alive
        return value

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at what goes into the head."""
        self._hook = require_backbone(pl_module, "ActivationRegularization").head.register_forward_pre_hook(self._see)
        require_staged(pl_module, "ActivationRegularization").additions.penalties[self.NAME] = self.penalty

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Look no more."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if (module := staged_of(pl_module)) is not None:
            module.additions.penalties.pop(self.NAME, None)
