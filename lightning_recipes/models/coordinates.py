"""Coordinates for the first convolution of a backbone: it is told where in the picture it is.

Source: Liu et al. (2018), "An intriguing failing of convolutional neural networks and the CoordConv solution",
section 3, https://arxiv.org/abs/1807.03247.
"""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.layers import Conv2dSame, pad_same
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lightning_recipes.errors import UserError

__all__ = ["KEY", "add_coordinates_", "coordinate_channels", "has_coordinates", "take_coordinate_weights"]

KEY = "model.coordinates"
WEIGHT = "coordinate_weight"


def coordinate_channels(height: int, width: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return the row and the column of each pixel, each from -1 to 1 whatever the size, (1, 2, H, W), float32.

    These are the paper's channels i and j; its third one, the distance from the centre, is left out, as in most of its
    experiments.

    Example:
        >>> coordinate_channels(2, 3)[0].tolist()
        [[[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]], [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]]
    """
    rows, columns = (torch.linspace(-1, 1, side, device=device) for side in (height, width))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def add_coordinates_(backbone: nn.Module, name: str, weights: Mapping[str, Tensor] | None = None) -> None:
    """Let the first convolution of a backbone take the coordinates of its input as two more channels, in place.

    A convolution over the picture's channels and two more is the sum of one over the former and one over the latter.
    So the layer keeps its weight as it is, and gets a second one, ``coordinate_weight`` (F, 2, kernel height, kernel
    width), whose convolution of the same stride and padding is added to the output. It begins at zero: the network is
    the same function as before until a step has moved it. Where a layer standardises its weight, this one is left out
    of that.

    Args:
        backbone: Of timm. The layers are those which timm adapts to the channels of a picture (``first_conv``: several
            where branches see it side by side); where timm names none, the first convolution there is.
        name: Of the backbone, for the error.
        weights: Values of ``coordinate_weight`` by the names of the backbone's state dict (default: zeros).

    Raises:
        UserError: There is no such convolution, or the weights are of another shape.
    """
    for path, layer in _first_convolutions(backbone, name).items():
        key = f"{path}.{WEIGHT}"
        weight = layer.weight.new_zeros(layer.out_channels, 2, *layer.kernel_size)
        if weights:
            if key not in weights or weights[key].shape != weight.shape:
                raise UserError(f"{KEY}: the weights do not fit {name}: {key} is not there, or of another shape")
            weight = weights[key].to(weight)
        layer.register_parameter(WEIGHT, nn.Parameter(weight))
        layer.register_forward_hook(_add_coordinates)


def has_coordinates(backbone: nn.Module) -> bool:
    """Tell whether a convolution of a network takes coordinates."""
    return any(hasattr(module, WEIGHT) for module in backbone.modules())


def take_coordinate_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the weights of coordinates out of those of a backbone, which timm does not know, and return them."""
    return {name: tensors.pop(name) for name in list(tensors) if name.rpartition(".")[2] == WEIGHT}


def _first_convolutions(backbone: Any, name: str) -> dict[str, nn.Conv2d]:
    """Return the layers that see the picture, by path."""
    # Not the model's own configuration: there, first_conv is empty where a weights file has as many channels.
    config = timm.get_pretrained_cfg(backbone.pretrained_cfg["architecture"], allow_unregistered=True)
    named = config.first_conv if config is not None else None
    layers = dict(backbone.named_modules())
    first = next((path for path, layer in layers.items() if isinstance(layer, nn.Conv2d)), "")
    paths = (named,) if isinstance(named, str) else tuple(named or (first,))
    found = {path: layer for path in paths if isinstance(layer := layers.get(path), nn.Conv2d)}
    if len(found) < len(paths):
        raise UserError(f"{KEY}: the first layer of '{name}' is no convolution, and takes none; leave the key out")
    return found


def _add_coordinates(layer: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """Add what the coordinates of a layer's input (N, C, H, W) bring to its output (N, F, H', W'); a forward hook."""
    weight: Tensor = layer.coordinate_weight
    given = coordinate_channels(*inputs[0].shape[-2:], device=weight.device).to(weight.dtype)
    if isinstance(layer, Conv2dSame) or getattr(layer, "same_pad", False):  # timm pads these as they are called
        given = pad_same(given, layer.kernel_size, layer.stride, layer.dilation)
    return output + conv2d(given, weight, None, layer.stride, layer.padding, layer.dilation)
