"""What ``validate`` and ``test`` share: the metrics of a checkpoint on the images of a split."""

from lightning_recipes.cli.commands.evaluation import Evaluation

__all__ = ["EvaluateSplit"]


class EvaluateSplit(Evaluation):
    """Evaluate on the images that the trainer's method of the command's name goes over."""

    needs = "--ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.root", "data.eval_batch_size", "views",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip

    def run(self, ckpt_path: str | None = None, verbose: bool = True, weights_only: bool | None = None) -> None:
        """Evaluate and print.

        Args:
            ckpt_path: Checkpoint to evaluate, or a folder of snapshots.
            verbose: Print the metrics.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        trainer = self.make_trainer(self.callbacks())
        self.evaluate(trainer, getattr(trainer, self.name), verbose=verbose)
