"""Names of torch that its documentation does not have."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

# The public classes are one a number of dimensions, and a layer of one's own need not be any of them.
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.dropout import _DropoutNd as Dropout
from torch.optim import Optimizer
from torch.utils.data import DataLoader

__all__ = ["BatchNorm", "Dropout", "add_each_", "copy_each_", "end_workers", "sign_of_each", "unscales_by_itself"]

# Many tensors in one call: torch's own optimizers work so, and there is no public function that does.


def add_each_(tensors: Sequence[Tensor], others: Sequence[Tensor], *, times: float) -> None:
    """Add ``times`` the other tensor to each, in place."""
    torch._foreach_add_(list(tensors), list(others), alpha=times)


def copy_each_(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    """Give each tensor the values of the other, in place."""
    torch._foreach_copy_(list(tensors), list(others))


def sign_of_each(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sign of each tensor's entries."""
    return list(torch._foreach_sign(list(tensors)))


def unscales_by_itself(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer unscales FP16 gradients inside its step; ``fused`` in its options does not say so.

    torch's ``GradScaler`` asks this of it.
    """
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def end_workers(loader: DataLoader[Any]) -> None:
    """End the processes that a loader with ``persistent_workers`` keeps; asked for batches again, it begins others.

    torch ends them where the loader is collected, which may be long after, and in any process.
    """
    iterator, loader._iterator = loader._iterator, None
    if iterator is not None:
        iterator._shutdown_workers()  # type: ignore[attr-defined]  # of the only kind that is kept
