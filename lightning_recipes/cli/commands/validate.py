"""``lightning-recipes validate``: the metrics of a checkpoint on the validation images."""

from lightning_recipes.cli.commands.evaluate_split import EvaluateSplit

__all__ = ["Validate"]


class Validate(EvaluateSplit):
    """Evaluate on the validation images."""

    name = "validate"
