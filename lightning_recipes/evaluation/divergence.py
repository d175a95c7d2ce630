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
        others: Sums of the losses of a module that has none of these names, such as ``train_pretext_loss``, by epoch,
            of training and of validation.
    """

    def __init__(self) -> None:
        self.train: dict[int, float] = {}
        self.val: dict[int, float] = {}
        self.others: dict[str, dict[int, float]] = {"train": {}, "val": {}}

    def trained(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Note the training loss of an epoch that is over, of what was logged."""
        self._note("train", self.train, epoch, metrics)

    def validated(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Note the loss of a validation that is over; the last one within an epoch counts."""
        self._note("val", self.val, epoch, metrics)

    def _note(self, split: str, losses: dict[int, float], epoch: int, metrics: Mapping[str, Any]) -> None:
        if f"{split}_loss" in metrics:  # which says it; of others there may be none for want of what they compare
            losses[epoch] = float(metrics[f"{split}_loss"])
            return
        own = [name for name in metrics if name.startswith(f"{split}_") and name.endswith("_loss")]
        if own:
            self.others[split][epoch] = sum(float(metrics[name]) for name in own)

    @property
    def diverged_at_epoch(self) -> int | None:
        """See :func:`diverged_at_epoch`."""
        return diverged_at_epoch(self.train, self.val, *self.others.values())

    def state_dict(self) -> dict[str, Any]:
        """Return the losses so far."""
        others = {split: dict(losses) for split, losses in self.others.items()}
        return {"train": dict(self.train), "val": dict(self.val), "others": others}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Go on with the losses so far; None, of an older version's checkpoint, knows of none."""
        if state is not None:
            self.train, self.val = dict(state["train"]), dict(state["val"])
            others = state.get("others", {"train": {}, "val": {}})
            self.others = {split: dict(losses) for split, losses in others.items()}


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
