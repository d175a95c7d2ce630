"""``lightning-recipes predict``: a checkpoint's predictions, one row an image."""

from typing import Any

from lightning_recipes.cli.commands.evaluation import Evaluation
from lightning_recipes.cli.console import write_predictions
from lightning_recipes.engine.predictions import gather_predictions, names_of

__all__ = ["Predict"]


class Predict(Evaluation):
    """Write ``predictions.csv``; the images need no labels."""

    name = "predict"
    needs = "--ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.predict_root", "data.eval_batch_size", "views",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip
    needs_labels = False

    def run(self, ckpt_path: str | None = None, weights_only: bool | None = None) -> None:
        """Predict and write.

        Args:
            ckpt_path: Checkpoint to predict with, or a folder of snapshots.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        trainer = self.make_trainer(self.callbacks())
        batches: list[Any] = trainer.predict(self.with_views(), datamodule=self.datamodule) or []
        rows = gather_predictions(batches, trainer.world_size)
        if trainer.is_global_zero:
            write_predictions(self.run_folder / "predictions.csv", rows, names_of(self.model))
