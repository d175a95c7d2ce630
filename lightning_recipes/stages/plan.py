"""The plan of a run: which stage an epoch belongs to. A pure function of the epoch, so nothing of it is saved."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lightning_recipes.components import Spec
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import MIN_IMAGE_SIZE

__all__ = ["Plan", "Stage"]


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs that train the same layers with one schedule. What is not given stays as model and data say.

    Args:
        name: What the stage is called in tables, figures and errors.
        epochs: Number of epochs, >= 1; where ``steps`` is given too, at most so many.
        train: ``head``, ``all``, or the number of last layer groups that train (1 is the head alone).
        lr: Learning rate of the head (default: ``model.lr``).
        lr_decay: Factor between neighbouring layer groups, in (0, 1] (default: ``model.lr_decay``).
        schedule: Schedule over this stage (default: ``model.schedule``).
        image_size: Side of the square images, in pixels (default: ``data.image_size``).
        batch_size: Images a process a batch, or ``all`` (default: ``data.batch_size``).
        augment: Augmentation policy (default: ``data.augment``).
        cache_features: Run the frozen backbone once over all images and train the head on what it gave; needs
            ``train: head``, and turns augmentation off unless there are ``feature_views``.
        feature_views: With ``cache_features``, run the backbone over so many augmented views of each training image;
            epoch e of the run trains on those that epoch e mod ``feature_views`` would have drawn. At most as many as
            the stage has epochs.
        steps: Optimizer steps in place of ``epochs``, or beside them: before the training they become the number of
            whole epochs that is nearest to them, at least one (Kolesnikov et al. 2020, "Big Transfer", section 3.3: few
            images need more epochs than many).
    """

    name: str
    epochs: int = 0
    train: Literal["head", "all"] | int = "all"
    lr: float | None = None
    lr_decay: float | None = None
    schedule: Spec | None = None
    image_size: int | None = None
    batch_size: int | Literal["all"] | None = None
    augment: str | dict[str, Any] | list[Any] | None = None
    cache_features: bool = False
    steps: int | None = None
    feature_views: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work, by key."""
        if self.epochs < 1 and (self.steps is None or self.epochs != 0):
            raise UserError(f"stage '{self.name}', epochs: {self.epochs} is not a number >= 1; give epochs or steps")
        for key, least in (("steps", 1), ("image_size", MIN_IMAGE_SIZE), ("batch_size", 1), ("feature_views", 1)):
            value = getattr(self, key)
            if value is not None and value != "all" and not value >= least:
                raise UserError(f"stage '{self.name}', {key}: {value} is not a number >= {least}")
        if not isinstance(self.train, str) and not self.train >= 1:
            raise UserError(f"stage '{self.name}', train: {self.train} is not head, all or a number >= 1")
        if self.lr is not None and not 0 <= self.lr < math.inf:
            raise UserError(f"stage '{self.name}', lr: {self.lr} is not a learning rate >= 0")
        if self.lr_decay is not None and not 0 < self.lr_decay <= 1:
            raise UserError(f"stage '{self.name}', lr_decay: {self.lr_decay} is not a factor in (0, 1]")
        if self.cache_features and not self.trains_head_alone:
            raise UserError(f"stage '{self.name}', cache_features: needs train: head, but train is {self.train}")
        if self.feature_views is not None and not self.cache_features:
            raise UserError(f"stage '{self.name}', feature_views: needs cache_features: true")
        if self.feature_views is not None and 0 < self.epochs < self.feature_views:
            raise UserError(
                f"stage '{self.name}', feature_views: {self.feature_views}, and each of {self.epochs} epochs sees one; "
                f"give at most {self.epochs}"
            )
        if self.cache_features and self.feature_views is None and self.augment not in (None, "none"):
            raise UserError(
                f"stage '{self.name}', cache_features: features are computed once, so augment must be none; "
                "with feature_views: 4 they are computed of four augmented views"
            )

    @property
    def trains_head_alone(self) -> bool:
        """Whether the backbone stays as it is."""
        return self.train in ("head", 1)

    def trainable_of(self, groups: int) -> int:
        """Return how many of the last layer groups train.

        Args:
            groups: How many there are, head included.
        """
        return {"head": 1, "all": groups}[self.train] if isinstance(self.train, str) else self.train


@dataclass(frozen=True)
class Plan:
    """The stages of a run, one after another.

    Attributes:
        stages: In their order.
        restarts: Epochs at which the schedule of their stage begins anew.
    """

    stages: tuple[Stage, ...]
    restarts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty plan and two stages of one name."""
        if not self.stages:
            raise UserError("stages: the list is empty; give at least one stage with name and epochs")
        names = [stage.name for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"stages: {names.count(name)} stages are called '{name}'; give each its own name")

    def settled(self, steps_per_epoch: Callable[[int], int]) -> "Plan":
        """Return the plan whose stages all have epochs; those that are given in steps get the nearest number, >= 1.

        A stage that is given in both is as long as the shorter of them.

        Args:
            steps_per_epoch: From the position of a stage to the optimizer steps of one of its epochs; asked only for
                stages that are given in steps.

        Example:
            >>> plan = Plan((Stage("head", epochs=2, train="head"), Stage("all", steps=100)))
            >>> [stage.epochs for stage in plan.settled(lambda position: 8).stages]
            [2, 12]
        """
        stages = [
            stage
            if stage.steps is None
            else replace(stage, epochs=_epochs_of(stage, steps_per_epoch(position)), steps=None)
            for position, stage in enumerate(self.stages)
        ]
        return replace(self, stages=tuple(stages))

    def require_stages(self, key: str, names: Sequence[str] | None) -> None:
        """Refuse names of stages that there are not.

        Args:
            key: The recipe's key, for the error.
            names: As the recipe gives them; None asks for nothing.

        Raises:
            UserError: Names the first that is not there.
        """
        known = [stage.name for stage in self.stages]
        for name in names or ():
            if name not in known:
                raise UserError(f"{key}: there is no stage '{name}', only {', '.join(known)}")

    @property
    def epochs(self) -> int:
        """Number of epochs of the whole plan."""
        return sum(stage.epochs for stage in self.stages)

    def index_at(self, epoch: int) -> int:
        """Return the position of the stage that an epoch belongs to; epochs after the plan belong to its last stage."""
        for position in range(len(self.stages)):
            if epoch < self.start_of(position) + self.stages[position].epochs:
                return position
        return len(self.stages) - 1

    def at(self, epoch: int) -> Stage:
        """Return the stage that an epoch belongs to.

        Example:
            >>> plan = Plan((Stage("head", epochs=1, train="head"), Stage("all", epochs=3)))
            >>> [plan.at(epoch).name for epoch in range(5)]
            ['head', 'all', 'all', 'all', 'all']
        """
        return self.stages[self.index_at(epoch)]

    def start_of(self, position: int) -> int:
        """Return the first epoch of a stage."""
        return sum(stage.epochs for stage in self.stages[:position])

    def ended_after(self, epoch: int) -> "Plan":
        """Return the plan in which the stage of an epoch ends with that epoch, and the others follow sooner.

        Example:
            >>> plan = Plan((Stage("head", epochs=5, train="head"), Stage("all", epochs=3)))
            >>> [stage.epochs for stage in plan.ended_after(1).stages]
            [2, 3]
        """
        position = self.index_at(epoch)
        stages = list(self.stages)
        stages[position] = replace(stages[position], epochs=epoch + 1 - self.start_of(position))
        return replace(self, stages=tuple(stages))

    def stopped_after(self, epoch: int) -> "Plan":
        """Return the plan that ends with an epoch."""
        ended = self.ended_after(epoch)
        return replace(ended, stages=ended.stages[: self.index_at(epoch) + 1])

    def restarted_after(self, epoch: int) -> "Plan":
        """Return the plan in which the schedule begins anew after an epoch, over what is left of its stage."""
        return replace(self, restarts=(*self.restarts, epoch + 1))


def _epochs_of(stage: Stage, steps_per_epoch: int) -> int:
    epochs = max(1, round((stage.steps or 0) / steps_per_epoch))
    return min(epochs, stage.epochs or epochs)
