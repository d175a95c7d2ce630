"""Has a figure stopped getting better? Decided from the figures alone, so whoever asks can act as it likes."""

import math
from dataclasses import InitVar, dataclass
from typing import Any, Literal

from lightning_recipes.errors import refuse_bad_values

__all__ = ["PlateauDetector"]


@dataclass
class PlateauDetector:
    """Finds that a figure has not improved for a while; the rules are those of torch's ``ReduceLROnPlateau``.

    Attributes:
        mode: Whether lower (``min``) or higher (``max``) is better.
        patience: Figures without improvement that are let pass, >= 0; the next one is a plateau.
        min_delta: What counts as an improvement, as a share of the best figure, >= 0.
        cooldown: Figures after a plateau that are not counted, >= 0.
        best: The best figure so far, None before the first.
        waited: Figures without improvement.
        cooling: Figures that are still not counted.
        who: Opens the text about a bad value; not kept.

    Raises:
        UserError: A value is out of range.
    """

    mode: Literal["min", "max"] = "min"
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    best: float | None = None
    waited: int = 0
    cooling: int = 0
    who: InitVar[str] = "PlateauDetector"

    def __post_init__(self, who: str) -> None:
        """Refuse values that cannot work."""
        refuse_bad_values(
            who,
            ("mode", self.mode, self.mode in ("min", "max"), "min or max"),
            ("patience", self.patience, self.patience >= 0, "a number >= 0"),
            ("min_delta", self.min_delta, 0 <= self.min_delta < math.inf, "a share >= 0"),
            ("cooldown", self.cooldown, self.cooldown >= 0, "a number >= 0"),
        )

    def update(self, value: float) -> bool:
        """Take the next figure, and tell whether it is a plateau; a nan is no improvement.

        Example:
            >>> detector = PlateauDetector(patience=1)
            >>> [detector.update(loss) for loss in (3.0, 2.0, 2.0, 2.0, 1.0)]
            [False, False, False, True, False]
        """
        if self._improves(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling > 0:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited <= self.patience:
            return False
        self.cooling, self.waited = self.cooldown, 0
        return True

    def _improves(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        margin = self.min_delta * abs(self.best)
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def reset(self) -> None:
        """Forget all figures."""
        self.best, self.waited, self.cooling = None, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen."""
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what had been seen."""
        self.best, self.waited, self.cooling = state["best"], state["waited"], state["cooling"]
