"""``lightning-recipes explain``: GradCAM on what a checkpoint gets wrong."""

from lightning.pytorch.callbacks import ProgressBar

from lightning_recipes.cli.commands.evaluation import Evaluation
from lightning_recipes.cli.console import print_explanation

__all__ = ["Explain"]


class Explain(Evaluation):
    """Draw the mistakes on the validation images; of the recipe's callbacks the progress bar alone is used."""

    name = "explain"
    needs = "--ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.root", "data.eval_batch_size", "gradcam.images",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip
    takes_snapshots = False

    def run(self, ckpt_path: str | None = None, weights_only: bool | None = None) -> None:
        """Draw misclassified validation images with the places that speak for the predicted and for the true class.

        Args:
            ckpt_path: Weights to explain.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        bars = [callback for callback in self.callbacks() if isinstance(callback, ProgressBar)]
        trainer = self.make_trainer([*bars, self.made.gradcam])
        trainer.validate(self.model, datamodule=self.datamodule, verbose=False)
        if trainer.is_global_zero:
            print_explanation(self.run_folder)
