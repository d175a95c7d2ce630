"""A logged figure that is watched: each value of it once, however often the run validates."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from lightning_recipes.errors import UserError

__all__ = ["Monitored"]


class Monitored:
    """A figure that a callback watches at the ends of epochs.

    A trainer goes on showing the figures of the last validation in epochs that have none
    (``check_val_every_n_epoch``); those count once.

    Args:
        name: Of the figure.
        who: Watches it, for errors.
    """

    def __init__(self, name: str, who: str) -> None:
        self.name, self.who = name, who
        self._taken: Tensor | None = None
        self._validated = False
        self._waiting: float | None = None

    def on_validation_end(self, trainer: pl.Trainer) -> None:
        """Note that there was a validation, and its figure; to be called by the hook of this name."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._validated = True
        if (shown := self._shown(trainer)) is not None:
            self._waiting = float(shown)

    def take(self, trainer: pl.Trainer) -> float | None:
        """Return the figure at the end of an epoch; None where there was no validation to log it.

        Raises:
            UserError: It is not logged, though there was a validation, or will never be one.
        """
        shown, waiting, validated = self._shown(trainer), self._waiting, self._validated
        self._validated, self._waiting = False, None
        if shown is not None:
            self._taken = shown
            return float(shown)
        known = trainer.callback_metrics
        if waiting is None and self.name not in known and (validated or not trainer.enable_validation):
            there = ", ".join(sorted(known))
            raise UserError(f"{self.who}.monitor: '{self.name}' is not logged; there are {there}")
        return waiting

    def _shown(self, trainer: pl.Trainer) -> Tensor | None:
        """What the trainer shows; None where that is the very tensor that was taken before."""
        shown = trainer.callback_metrics.get(self.name)
        return None if shown is self._taken else shown

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen within the epoch."""
        return {"validated": self._validated, "waiting": self._waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what had been seen; a checkpoint of an older version says nothing of it."""
        self._validated, self._waiting, self._taken = state.get("validated", False), state.get("waiting"), None
