"""The tensors that make a module's network."""

from collections.abc import Sequence

from torch import Tensor, nn

from lightning_recipes.models.groups import LayerGroup

__all__ = ["network_tensors"]


def network_tensors(module: nn.Module, groups: Sequence[LayerGroup]) -> dict[str, Tensor]:
    """Return parameters and statistics of all layer groups, detached, by their names in the module's state dict."""
    network = {id(tensor) for group in groups for tensor in group.tensors}
    return {n: t.detach() for n, t in module.state_dict(keep_vars=True).items() if id(t) in network}
