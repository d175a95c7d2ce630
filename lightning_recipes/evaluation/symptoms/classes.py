"""Classes that a network does not name."""

from collections.abc import Sequence

from lightning_recipes.errors import first_few
from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["NeverPredicted", "never_predicted"]

VALIDATIONS, AT_THE_END = 5, 3
"""In a row, in which a class was not predicted, while there are more to come and when there are none."""
FEWEST_IMAGES = 5
"""Of a class in validation: of fewer nothing can be said."""


class NeverPredicted:
    """For each class, in how many of the last validations none of the images was taken for it.

    Attributes:
        validations: How many there were.
        missed: In a row, up to the last one, by class.
        images: Of each class in the last one.
    """

    def __init__(self) -> None:
        self.validations = 0
        self.missed: list[int] = []
        self.images: list[int] = []

    def add(self, predicted: Sequence[int], images: Sequence[int]) -> None:
        """Take a validation: how often each class was predicted, and how many images it has."""
        before = self.missed or [0] * len(predicted)
        self.missed = [0 if count else past + 1 for count, past in zip(predicted, before, strict=True)]
        self.images, self.validations = list(images), self.validations + 1


def never_predicted(seen: NeverPredicted, names: Sequence[str] | None, *, over: bool) -> Symptom | None:
    """Name the classes that were predicted in none of the last validations.

    Args:
        seen: The validations so far.
        names: Of the classes; None: their numbers.
        over: Whether the training is over, so that there will be no third validation.
    """
    enough = min(AT_THE_END, max(2, seen.validations)) if over else VALIDATIONS
    missed = [
        position
        for position, (times, images) in enumerate(zip(seen.missed, seen.images, strict=True))
        if times >= enough and images >= FEWEST_IMAGES
    ]
    if not missed:
        return None
    called = [f"'{names[position]}'" if names else f"{position}" for position in missed]
    many = f"{len(missed)} of {len(seen.missed)} classes are" if len(missed) > 1 else f"Class {called[0]} is"
    counts = ", ".join(f"{name} ({seen.images[i]} images)" for name, i in list(zip(called, missed, strict=True))[:3])
    return Symptom(
        "class_never_predicted",
        f"{many} never predicted" + (f": {first_few(called)}" if len(missed) > 1 else ""),
        f"in {enough} validations none of the images was taken for {counts}" + (", ..." if len(missed) > 3 else ""),
        "Look at their images and labels (inspect), weight the loss or balance the batches (data.balance)",
    )
