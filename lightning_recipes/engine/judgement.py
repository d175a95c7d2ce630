"""What was seen of a run's best epoch, in numbers and row by row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = ["Judgement", "Rows"]

Rows = Mapping[str, Tensor]
"""What a task keeps of each image, and ``index``, its position in the split."""


@dataclass(frozen=True)
class Judgement:
    """What was seen of a run's best epoch.

    Attributes:
        epoch: Counted from 0.
        step: Optimizer steps before its validation.
        images: That were validated, where they were counted.
        loss: Over all of them, where one was logged.
        entries: Of ``summary.json``, by the module's task.
    """

    epoch: int
    step: int
    images: int | None
    loss: float | None
    entries: dict[str, Any] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Judgement":
        """Return what a checkpoint has kept; one of release 0.1.0 counts images that are right."""
        known = dict(state)
        if "correct" in known:
            correct, images = known.pop("correct"), known["images"]
            interval = list(wilson_interval(correct, images))
            known["entries"] = {"val_accuracy": correct / images, "val_accuracy_ci95": interval}
        return cls(**known)
