"""What each stage of a run has taken so far: images, time, and the rate that it trains at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl

from lightning_recipes.modules.protocols import staged_of
from lightning_recipes.stages.plan import Stage

__all__ = ["StageTotals", "stage_name"]

WHOLE = "all"  # what a run without stages is called


def stage_name(module: pl.LightningModule, epoch: int) -> str:
    """Return the name of the stage that an epoch belongs to."""
    staged = staged_of(module)
    return WHOLE if staged is None or staged.plan is None else staged.plan.at(epoch).name


@dataclass
class StageTotals:
    """What each stage has taken so far, by its name.

    Attributes:
        images: Trained on, of all processes.
        seconds: Without validation.
        lr: Base rate of the head as it trained, found or not.
    """

    images: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lr: dict[str, float] = field(default_factory=dict)

    def add_batch(self, trainer: pl.Trainer, module: pl.LightningModule, images: int) -> None:
        """Count the images of a training batch."""
        name = stage_name(module, trainer.current_epoch)
        self.images[name] = self.images.get(name, 0) + images * trainer.world_size
        if name not in self.lr and (staged := staged_of(module)) is not None:
            self.lr[name] = staged.base_lr

    def add_seconds(self, trainer: pl.Trainer, module: pl.LightningModule, seconds: float) -> None:
        """Add the time of an epoch."""
        name = stage_name(module, trainer.current_epoch)
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @property
    def images_per_second(self) -> float | None:
        """Of all stages; None before any time has passed."""
        return _rate(sum(self.images.values()), sum(self.seconds.values()))

    def rows(self, done: int, module: pl.LightningModule) -> list[dict[str, Any]]:
        """Return what ``summary.json`` says of each stage.

        Args:
            done: Epochs of the run that were trained.
            module: With its plan, if it has one.
        """
        staged = staged_of(module)
        if staged is None or staged.plan is None:
            rate = None if staged is None else staged.rates_of(Stage(WHOLE, epochs=1))[0]
            named = [(WHOLE, done, done, rate)]
        else:
            plan = staged.plan
            starts = [plan.start_of(position) for position in range(len(plan.stages))]
            named = [
                (stage.name, min(max(done - start, 0), stage.epochs), stage.epochs, staged.rates_of(stage)[0])
                for stage, start in zip(plan.stages, starts, strict=True)
            ]
        return [
            {
                "name": name,
                "epochs": epochs,
                "planned_epochs": planned,
                "base_lr": self.lr.get(name, rate),
                "images_per_second": _rate(self.images.get(name, 0), self.seconds.get(name, 0.0)),
            }
            for name, epochs, planned, rate in named
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "stage_seconds": dict(self.seconds),
            "stage_images": dict(self.images),
            "stage_lr": dict(self.lr),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "StageTotals":
        """Return what a checkpoint has kept."""
        return cls(dict(state["stage_images"]), dict(state["stage_seconds"]), dict(state.get("stage_lr", {})))


def _rate(images: int, seconds: float) -> float | None:
    return round(images / seconds, 2) if seconds > 0 else None
