"""``lightning-recipes test``: the metrics of a checkpoint on the test images."""

from lightning_recipes.cli.commands.evaluation import Evaluation

__all__ = ["Test"]


class Test(Evaluation):
    """Evaluate on the test images."""

    name = "test"
    needs = "--ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.root", "data.eval_batch_size", "views",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip

    def run(self, ckpt_path: str | None = None, verbose: bool = True, weights_only: bool | None = None) -> None:
        """Evaluate and print.

        Args:
            ckpt_path: Checkpoint to evaluate, or a folder of snapshots.
            verbose: Not used; the metrics are printed.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        trainer = self.make_trainer(self.callbacks())
        self.evaluate(trainer, trainer.test)
