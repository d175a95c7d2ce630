"""Residual blocks that a training step may drop (Huang et al. 2016, "Deep Networks with Stochastic Depth")."""

from timm.layers import DropPath
from torch import nn

__all__ = ["DropPath", "droppable_blocks"]


def droppable_blocks(module: nn.Module) -> list[DropPath]:
    """Return timm's layers that drop a block, in order; each drops with probability ``drop_prob``."""
    return [m for m in module.modules() if isinstance(m, DropPath)]
