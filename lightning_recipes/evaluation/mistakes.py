"""Which of the images that are wrong to look at first."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lightning_recipes.errors import UserError
from lightning_recipes.randomness import numpy_generator_for

__all__ = ["ORDERS", "choose_mistakes", "order_mistakes"]

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
    sure, predicted = probabilities.max(dim=1)
    wrong: Sequence[int] = (predicted != labels).nonzero().flatten().tolist()
    order = order_mistakes(sure[wrong].tolist(), labels[wrong].tolist(), most=most, by=by)
    return [wrong[position] for position in order]


def order_mistakes(sure: Sequence[float], classes: Sequence[int], *, most: int, by: str) -> list[int]:
    """Return the positions of mistakes in the order in which to look at them.

    Args:
        sure: Probability of what was said, one a mistake.
        classes: The true class of each.
        most: As above.
        by: As above.

    Raises:
        UserError: ``by`` is none of :data:`ORDERS`.
    """
    if by not in ORDERS:
        raise UserError(f"by: '{by}' is not one of {', '.join(ORDERS)}")
    ranked = sorted(range(len(sure)), key=lambda position: (-sure[position], position))
    if by == "random":
        ranked = numpy_generator_for("mistakes").permutation(len(sure)).tolist()
    if by == "class":
        turns: dict[int, int] = {}
        keys = {}
        for position in ranked:
            label = classes[position]
            keys[position] = (turns.get(label, 0), label)
            turns[label] = turns.get(label, 0) + 1
        ranked.sort(key=lambda position: keys[position])
    return ranked[:most]
