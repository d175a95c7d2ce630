"""The commands of our own, as LightningCLI wants them: methods of a trainer, for their arguments and help."""

import lightning.pytorch as pl

from lightning_recipes.errors import UserError

__all__ = ["RecipesTrainer"]


class RecipesTrainer(pl.Trainer):
    """Lightning's trainer, with our commands; LightningCLI reads their arguments and help from here."""

    def lr_find(
        self,
        model: pl.LightningModule,
        datamodule: pl.LightningDataModule,
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
            model: What is tested.
            datamodule: Gives the images.
            stage: Stage to test (default: the first).
            min_lr: First rate (default: that of the recipe's LearningRateFinder, else its own default).
            max_lr: Last rate, likewise.
            steps: Optimizer steps of each data order, likewise.
            orders: Data orders, likewise.
            ckpt_path: Weights to test from, such as those of a stage before it (default: the recipe's).
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        raise UserError("lr_find: runs from the command line; in Python, give a trainer a LearningRateFinder")

    def explain(
        self,
        model: pl.LightningModule,
        datamodule: pl.LightningDataModule,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Draw misclassified validation images with the places that speak for the predicted and for the true class.

        Args:
            model: What is explained.
            datamodule: Gives the images.
            ckpt_path: Weights to explain.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        raise UserError("explain: runs from the command line; in Python, give a trainer a MisclassifiedGradCAM")
