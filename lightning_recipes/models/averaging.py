"""Weights and statistics that stand in for those of a module: swapped in and out, copied, and averaged, in place."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lightning_recipes.compat.torch import copy_each_

__all__ = ["copy_weights_", "move_towards_", "swap_weights_"]


@torch.no_grad()
def swap_weights_(module: nn.Module, others: Mapping[str, Tensor]) -> None:
    """Give a module the values of ``others`` and ``others`` the module's; twice is as before, to the bit.

    Args:
        module: Whose state dict has all names of ``others``.
        others: Tensors of the same shapes, by name.
    """
    own = module.state_dict()
    mine, theirs = [own[name] for name in others], list(others.values())
    kept = [tensor.clone() for tensor in mine]
    copy_each_(mine, theirs)
    copy_each_(theirs, kept)


@torch.no_grad()
def copy_weights_(module: nn.Module, others: Mapping[str, Tensor]) -> None:
    """Give ``others`` the module's values."""
    own = module.state_dict()
    copy_each_(list(others.values()), [own[name] for name in others])


@torch.no_grad()
def move_towards_(averages: list[Tensor], values: list[Tensor], *, decay: float) -> None:
    """Move averages to the values, ``a <- decay a + (1 - decay) v``; integers take the value.

    Args:
        averages: Changed in place.
        values: One an average, of its shape, dtype and device.
        decay: In [0, 1].
    """
    floats = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
    whole = [(a, v) for a, v in zip(averages, values, strict=True) if not a.is_floating_point()]
    if floats:
        move: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        move([a for a, _ in floats], [v for _, v in floats], None)
    if whole:  # torch's would round an average towards zero, where a count would stay for ever
        copy_each_([a for a, _ in whole], [v for _, v in whole])
