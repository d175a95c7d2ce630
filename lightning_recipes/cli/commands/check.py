"""``lightning-recipes check``: the checks of a recipe's pipeline, before anything is trained."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.callbacks.lr_finder import LearningRateFinder
from lightning_recipes.callbacks.pipeline_checks import PipelineChecks
from lightning_recipes.callbacks.snapshots import SnapshotEnsemble
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.console import print_check, print_checks
from lightning_recipes.data.batch import displayed
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.some_images import some_images
from lightning_recipes.errors import UserError
from lightning_recipes.figures.batch import batch_figure
from lightning_recipes.figures.saving import save_figure

__all__ = ["CheckPipeline"]

A_STEP_A_STAGE: dict[str, Any] = {
    "devices": 1,
    "num_nodes": 1,
    "max_steps": -1,
    "max_time": None,
    "limit_train_batches": 1,
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "overfit_batches": 0.0,
    "accumulate_grad_batches": 1,
    "fast_dev_run": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "barebones": False,
}
"""Options of a trainer that gets to the start of each stage, on one device."""
FAILED = 3
"""Exit code where a check failed."""
DRAWN = 32
"""Images of ``figures/batch.png``."""


class CheckPipeline(RecipeCommand):
    """Check the pipeline on some of the images; of what is trained for it nothing stays."""

    name = "check"
    needs = "--config RECIPE"
    used_most = (
        "config", "images", "steps", "run_dir", "data.root", "model.backbone",
        "trainer.accelerator", "trainer.precision",
    )  # fmt: skip

    @override
    def resolve(self) -> None:
        """Claim a folder."""
        self.refuse_nulls()
        for key, least in (("images", 2), ("steps", 0)):
            if self.config[key] < least:
                raise UserError(f"{key}: {self.config[key]} is not a number >= {least}")
        self.run_folder = self.claim_run_folder(resume=False)

    def run(self, images: int = 256, steps: int = 60) -> int:
        """Check the pipeline of a recipe before it trains: data, inputs, loss, gradients, one batch by heart.

        Args:
            images: Training images that are looked at, of each class its share, and half as many of validation.
            steps: Optimizer steps of each small training, at most; 0 leaves out what trains.
        """
        if isinstance(self.datamodule, ImageDataModule):
            self._look_at_some(images)
        checks = PipelineChecks(steps, print_check)
        callbacks = _a_step_a_stage(self.callbacks())
        epochs = sum(len(callback.plan.stages) for callback in callbacks if isinstance(callback, Stages)) or 1
        trainer = self.make_trainer([*callbacks, checks], max_epochs=epochs, **A_STEP_A_STAGE)
        trainer.fit(self.model, datamodule=self.datamodule)
        write_json(self.run_folder / "check.json", [asdict(one) for one in checks.found])
        self._draw(checks)
        print_checks(self.run_folder, checks.found)
        return FAILED if any(one.status == "failed" for one in checks.found) else 0

    def _look_at_some(self, images: int) -> None:
        """Take some of the images in place of all; as many as a batch has, at least."""
        data, stages = self.datamodule, [s for c in self.callbacks() if isinstance(c, Stages) for s in c.plan.stages]
        sizes = [data.hparams["batch_size"], *(stage.batch_size for stage in stages)]
        most = max([images, *(size for size in sizes if isinstance(size, int))])
        self.datamodule = some_images(data, train=most, val=max(2, images // 2))

    def _draw(self, checks: PipelineChecks) -> None:
        """Draw training images as the network sees them."""
        seen, data = checks.trained, self.datamodule
        if seen is None:
            return
        used, task, names = data.input_config, self.model.task, data.classes
        images = displayed(seen.images[:DRAWN], used.mean, used.std).numpy()
        labels = [task.words(label, names) for label in seen.labels[:DRAWN]]
        figure = batch_figure(images, labels, title="Training images as the network sees them")
        save_figure(figure, self.run_folder / "figures" / "batch.png")


def _a_step_a_stage(callbacks: Sequence[pl.Callback]) -> list[pl.Callback]:
    """Return a recipe's callbacks, whose stages are an epoch each; without those that take their time."""
    not_now = (LearningRateFinder, SnapshotEnsemble, ProgressBar)
    return [
        Stages([replace(stage, epochs=1, steps=None) for stage in callback.plan.stages])
        if isinstance(callback, Stages)
        else callback
        for callback in callbacks
        if not isinstance(callback, not_now)
    ]
