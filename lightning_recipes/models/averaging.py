"""Weights and statistics that stand in for those of a module: swapped in and out, copied, and averaged, in place."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_recipes.compat.torch import copy_each_, move_each_

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
def move_towards_(averages: list[Tensor], values: list[Tensor], share: float) -> None:
    """Move averages a share of the way to the values, ``a += share * (v - a)``; integers take the value.

    Args:
        averages: Changed in place.
        values: One an average, of its shape, dtype and device.
        share: In [0, 1].
    """
    floats = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
    whole = [(a, v) for a, v in zip(averages, values, strict=True) if not a.is_floating_point()]
    if floats:
        move_each_([a for a, _ in floats], [v for _, v in floats], share=share)
    if whole:
        copy_each_([a for a, _ in whole], [v for _, v in whole])
