"""Where a stage stands: what a schedule is a function of."""

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """Where a stage stands.

    Attributes:
        step: Optimizer steps done in this stage, from 0.
        steps: Optimizer steps of the whole stage, >= 1.
        steps_per_epoch: Optimizer steps of one epoch, >= 1.
    """

    step: int
    steps: int
    steps_per_epoch: int

    @property
    def fraction(self) -> float:
        """Share of the stage that is done, 0 at its first step, 1 just after its last."""
        return min(self.step / self.steps, 1.0)

    @property
    def epoch(self) -> float:
        """Epochs of the stage that are done, with the fraction of the one that is under way."""
        return self.step / self.steps_per_epoch
