"""The losses of a run by epoch, and whether they came to be no numbers."""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["LossHistory", "diverged_at_epoch", "epochs_not_finite"]


class LossHistory:
    """The losses of a run's epochs, over all of its sessions.

    Attributes:
        train: Training loss by epoch, from 0.
        val: Validation loss by epoch, of those that were validated.
    """

    def __init__(self) -> None:
        self.train: dict[int, float] = {}
        self.val: dict[int, float] = {}

    def trained(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Note the training loss of an epoch that is over, of what was logged."""
        if "train_loss" in metrics:
            self.train[epoch] = float(metrics["train_loss"])

    def validated(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Note the loss of a validation that is over; the last one within an epoch counts."""
        if "val_loss" in metrics:
            self.val[epoch] = float(metrics["val_loss"])

    @property
    def diverged_at_epoch(self) -> int | None:
        """See :func:`diverged_at_epoch`."""
        return diverged_at_epoch(self.train, self.val)

    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        return {"train": dict(self.train), "val": dict(self.val)}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on with the losses so far; None, of an older version's checkpoint, knows of none."""
        if state is not None:
            self.train, self.val = dict(state["train"]), dict(state["val"])


def epochs_not_finite(*losses: Mapping[int, float]) -> list[int]:
    """Return the epochs in which any of the losses, by epoch, is inf or nan."""
    return sorted({epoch for of in losses for epoch, loss in of.items() if not math.isfinite(loss)})


def diverged_at_epoch(*losses: Mapping[int, float]) -> int | None:
    """Return the first epoch whose loss was not finite and that no finite one came after; None where there is none.

    A step whose loss overflows is skipped in 16-bit precision, and the training goes on: no divergence.

    Args:
        losses: Of training, of validation, each by epoch.

    Example:
        >>> diverged_at_epoch({0: 2.3, 1: math.inf, 2: 1.9, 3: math.nan, 4: math.nan})
        3
    """
    begins = []
    for of in losses:
        finite = [epoch for epoch, loss in of.items() if math.isfinite(loss)]
        after = [epoch for epoch in of if epoch > max(finite, default=-1)]
        begins += after and [min(after)]
    return min(begins, default=None)
