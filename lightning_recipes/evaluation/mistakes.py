"""Which of the images that are wrong to look at first."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lightning_recipes.errors import UserError
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["ORDERS", "choose_mistakes"]

ORDERS = ("confidence", "random", "class")


def choose_mistakes(
    labels: Tensor, probabilities: Tensor, *, most: int, by: Literal["confidence", "random", "class"] = "confidence"
) -> list[int]:
    """Return the rows of misclassified images in the order in which to look at them.

    Args:
        labels: (N,), what is true.
        probabilities: (N, C).
        most: No more than so many, >= 0.
        by: ``confidence``: the surest first; ``random``: drawn from the run's seed; ``class``: one of each true class
            in turn, the surest first.

    Raises:
        UserError: ``by`` is none of them.
    """
    if by not in ORDERS:
        raise UserError(f"by: '{by}' is not one of {', '.join(ORDERS)}")
    sure, predicted = probabilities.max(dim=1)
    wrong: Sequence[int] = (predicted != labels).nonzero().flatten().tolist()
    ranked = sorted(wrong, key=lambda row: (-float(sure[row]), row))
    if by == "random":
        order = numpy_generator_for("mistakes").permutation(len(wrong))
        ranked = [wrong[i] for i in order]
    if by == "class":
        turns: dict[int, int] = {}
        keys = {}
        for row in ranked:
            label = int(labels[row])
            keys[row] = (turns.get(label, 0), label)
            turns[label] = turns.get(label, 0) + 1
        ranked.sort(key=lambda row: keys[row])
    return list(ranked[:most])
