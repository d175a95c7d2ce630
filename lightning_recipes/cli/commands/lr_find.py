"""``lightning-recipes lr-find``: the range test of one stage, without the training that follows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.callbacks.lr_finder import LearningRateFinder
from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.console import print_range_test
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["LrFind"]

ONE_STEP: dict[str, Any] = {
    "max_epochs": 1,
    "max_steps": -1,
    "limit_train_batches": 1,
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "enable_checkpointing": False,
}
"""Options of a trainer that gets as far as the start of a stage, and no further than it has to."""


class LrFind(RecipeCommand):
    """Test the rates of one stage; nothing is trained."""

    name = "lr_find"
    needs = "--config RECIPE"
    used_most = (
        "config", "stage", "min_lr", "max_lr", "steps", "orders", "ckpt_path", "run_dir",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip

    @override
    def resolve(self) -> None:
        """Claim a folder."""
        self.refuse_nulls()
        self.run_folder = self.claim_run_folder(resume=False)
        self.refuse_missing_checkpoint()

    def run(
        self,
        stage: str | None = None,
        min_lr: float | None = None,
        max_lr: float | None = None,
        steps: int | None = None,
        orders: int | None = None,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Run the learning rate range test alone: figure, JSON and suggestions; nothing is trained.

        Args:
            stage: Stage to test (default: the first).
            min_lr: First rate (default: that of the recipe's LearningRateFinder, else its own default).
            max_lr: Last rate, likewise.
            steps: Optimizer steps of each data order, likewise.
            orders: Data orders, likewise.
            ckpt_path: Weights to test from, such as those of a stage before it (default: the recipe's).
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        settings = {"min_lr": min_lr, "max_lr": max_lr, "steps": steps, "orders": orders}
        callbacks = _only_the_finder(self.callbacks(), stage=stage, settings=settings)
        trainer = self.make_trainer(callbacks, **ONE_STEP)
        if ckpt_path is not None:
            _load_weights(self.model, Path(ckpt_path))
        trainer.fit(self.model, datamodule=self.datamodule)
        if trainer.is_global_zero:
            print_range_test(self.run_folder)


def _only_the_finder(
    callbacks: Sequence[pl.Callback], *, stage: str | None, settings: Mapping[str, Any]
) -> list[pl.Callback]:
    """Return a recipe's callbacks with one stage in the plan, and a finder that only reports.

    Args:
        callbacks: Of the recipe.
        stage: Name of the stage to test (default: the first).
        settings: Arguments of the finder, None where they are the recipe's.

    Raises:
        UserError: There is no such stage.
    """
    stages = {s.name: s for callback in callbacks if isinstance(callback, Stages) for s in callback.plan.stages}
    if stage is not None and stage not in stages:
        raise UserError(f"stage: there is no stage '{stage}'{did_you_mean(stage, stages)}")
    stage = stage or next(iter(stages), None)
    finders = [c for c in callbacks if isinstance(c, LearningRateFinder)] or [LearningRateFinder()]
    finders.sort(key=lambda finder: finder.stages is not None and stage not in finder.stages)  # the stage's own first
    names = ("suggestion", "min_lr", "max_lr", "steps", "orders", "smoothing", "divergence")
    options = {name: getattr(finders[0], name) for name in names}
    options |= {name: value for name, value in settings.items() if value is not None}
    finder = LearningRateFinder(apply=False, **options)
    plan = [Stages([stages[stage]])] if stage is not None else []
    not_now = (Stages, LearningRateFinder, SnapshotEnsemble)
    return [*plan, finder, *(callback for callback in callbacks if not isinstance(callback, not_now))]


def _load_weights(module: pl.LightningModule, path: Path) -> None:
    """Give a module the weights of a run's checkpoint, and nothing else of it."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"])
