"""One optimizer group per layer group and decay kind: discriminative learning rates, no decay of biases and norms."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lightning_recipes.errors import UserError

__all__ = ["layer_learning_rate", "named_groups", "parameter_groups"]

NO_DECAY = "/no_decay"  # after the name of a layer group


def layer_learning_rate(lr: float, lr_decay: float, depth: int) -> float:
    """Return the base rate of a layer group, ``lr * lr_decay ** depth``.

    Source: Howard and Ruder (2018), "ULMFiT", section 3.2 (discriminative fine-tuning).

    Args:
        lr: Rate of the head.
        lr_decay: Factor between neighbouring groups, in (0, 1].
        depth: Groups between this one and the head; 0 is the head itself.

    Example:
        >>> [layer_learning_rate(0.1, 0.5, depth) for depth in range(3)]
        [0.1, 0.05, 0.025]
    """
    return lr * lr_decay**depth


def parameter_groups(
    layers: Sequence[tuple[str, Sequence[tuple[str, nn.Parameter]]]], *, lr: float, lr_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return groups for an optimizer, stem first, head last.

    Each holds ``name`` (the layer group's, with ``/no_decay`` for biases and norm weights), ``depth`` (0 is the head),
    ``lr`` and ``weight_decay``. Frozen parameters are in it too: without a gradient an optimizer leaves them alone.

    Args:
        layers: Name and named parameters of each layer group, head last.
        lr: Rate of the head.
        lr_decay: Factor between neighbouring layer groups.
        weight_decay: For parameters of two and more dimensions; vectors and scalars (biases, norm weights) get none.

    Raises:
        UserError: A parameter is in two groups.
    """
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for position, (layer, parameters) in enumerate(layers):
        depth = len(layers) - 1 - position
        for name, parameter in parameters:
            if id(parameter) in seen:
                raise UserError(f"layer groups: parameter '{name}' of '{layer}' is in another group too")
            seen.add(id(parameter))
        for suffix, decay, members in (
            ("", weight_decay, [p for _, p in parameters if p.ndim > 1]),
            (NO_DECAY, 0.0, [p for _, p in parameters if p.ndim <= 1]),
        ):
            if members:
                rate = layer_learning_rate(lr, lr_decay, depth)
                groups.append(
                    {"params": members, "name": layer + suffix, "depth": depth, "lr": rate, "weight_decay": decay}
                )
    return groups


def named_groups(optimizer: Optimizer) -> list[tuple[dict[str, Any], str]]:
    """Return each parameter group of an optimizer with the name of its layer group, or its number without one."""
    groups = enumerate(optimizer.param_groups)
    return [(group, group.get("name", str(number)).removesuffix(NO_DECAY)) for number, group in groups]
