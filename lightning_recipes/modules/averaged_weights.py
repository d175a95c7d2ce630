"""Weights that are validated and saved in place of those that train."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from lightning_recipes.models.averaging import copy_weights_, swap_weights_

__all__ = ["AveragedWeights"]


class AveragedWeights:
    """Averaged weights and statistics beside those of a module that trains.

    Args:
        tensors: By their names in the module's state dict; changed in place as they change places with the module's.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self._are_in = False

    @property
    def are_in(self) -> bool:
        """Whether they are in the module now, and the trained ones here."""
        return self._are_in

    def swap(self, module: nn.Module) -> None:
        """Let them and the module's own change places; twice is as before, to the bit."""
        swap_weights_(module, self.tensors)
        self._are_in = not self._are_in

    @contextmanager
    def inside(self, module: nn.Module, *, averaged: bool = True) -> Iterator[None]:
        """Have them in the module inside, whatever is in now; or the trained ones, where ``averaged`` is false."""
        if self._are_in == averaged:
            yield
            return
        self.swap(module)
        try:
            yield
        finally:
            self.swap(module)

    def settle(self, module: nn.Module, frozen: Iterable[Tensor]) -> None:
        """Make averaged and trained one for layers that have frozen: what validation sees of them is what stays."""
        own, still = module.state_dict(keep_vars=True), {id(tensor) for tensor in frozen}
        settled = {name: tensor for name, tensor in self.tensors.items() if id(own[name]) in still}
        if settled and not self._are_in:
            swap_weights_(module, settled)
            copy_weights_(module, settled)

    def take(self, module: nn.Module) -> None:
        """Take the module's values."""
        copy_weights_(module, self.tensors)
