"""Initial weights by name, for networks that are trained from scratch."""

from collections.abc import Callable

import torch
from torch import nn

from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["INITIALIZATIONS", "initialize_"]


def _kaiming(weight: torch.Tensor) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


INITIALIZATIONS: dict[str, Callable[[torch.Tensor], object]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": _kaiming,
    "orthogonal": nn.init.orthogonal_,
}


def initialize_(module: nn.Module, name: str) -> None:
    """Draw the weights of all linear and convolutional layers anew, in place; their biases become zero.

    ``xavier``: uniform with variance ``2 / (fan_in + fan_out)``, for tanh-like activations and transformers (Glorot and
    Bengio 2010, equation 16). ``kaiming``: normal with variance ``2 / fan_out``, for ReLU and its kin (He et al. 2015,
    equation 14). ``orthogonal``: a random orthogonal matrix, for deep networks without norm layers (Saxe et al. 2013).
    Norm layers, tokens and position embeddings stay as the architecture made them.

    Args:
        module: Any network.
        name: One of :data:`INITIALIZATIONS`.

    Raises:
        UserError: Another name.
    """
    if name not in INITIALIZATIONS:
        known = ", ".join(INITIALIZATIONS)
        raise UserError(f"model.init: '{name}' is not one of {known}{did_you_mean(name, INITIALIZATIONS)}")
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            INITIALIZATIONS[name](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
