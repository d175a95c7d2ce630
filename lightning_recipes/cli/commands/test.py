"""``lightning-recipes test``: the metrics of a checkpoint on the test images."""

from lightning_recipes.cli.commands.evaluate_split import EvaluateSplit

__all__ = ["Test"]


class Test(EvaluateSplit):
    """Evaluate on the test images."""

    name = "test"
