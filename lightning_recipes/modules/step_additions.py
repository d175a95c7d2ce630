"""What callbacks add to a module's training step and validation: the one place where they do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lightning_recipes.modules.averaged_weights import AveragedWeights

__all__ = ["BatchTransform", "FirstPass", "StepAdditions", "StepKey"]

StepKey = tuple[str | int, ...]
"""What the draws of a training step are a function of; for :mod:`lightning_recipes.randomness`."""
BatchTransform = Callable[[Any, StepKey], Any]
"""Takes a training batch on its device and the step's key; gives the batch that is trained on."""
FirstPass = Callable[[Sequence[nn.Parameter], Sequence[Tensor | None]], None]
"""Takes what trains and its gradient up to a factor, None where it has none; may move the weights for the next pass."""


@dataclass
class StepAdditions:
    """What callbacks add to the steps of a module; who adds takes away again in ``teardown``.

    Attributes:
        batch_transforms: By the name of who adds it, called in this order.
        penalties: Scalars added to the loss of each training step, by the name that they are logged under.
        micro_batches: Parts that a batch is taken in, one after another, for less memory; >= 1.
        first_pass: Sees the gradient at the weights as they are, before the pass whose gradient the optimizer gets;
            None where there is one pass.
        averaged: Validated and saved in place of the weights that train; None where there are none.
    """

    batch_transforms: dict[str, BatchTransform] = field(default_factory=dict)
    penalties: dict[str, Callable[[], Tensor]] = field(default_factory=dict)
    micro_batches: int = 1
    first_pass: FirstPass | None = None
    averaged: AveragedWeights | None = None
