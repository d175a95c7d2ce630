"""What a run came to, in figures, and what can be said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Finding", "Outcome"]


@dataclass(frozen=True)
class Finding:
    """Something that the figures say.

    Attributes:
        what: In a sentence.
        number: The figures that it is read off.
        advice: What to try, best first.
    """

    what: str
    number: str
    advice: str


@dataclass(frozen=True)
class Outcome:
    """What a run came to: counts of one set of weights, and the losses on the way there.

    Attributes:
        correct: Validation images that the run's best weights have right.
        images: All of them, >= 1.
        classes: Number of classes, >= 2; with several labels an image, of different sets of them.
        largest_class: Validation images of the class that has most: what one answer for all would have right.
        predicted_classes: How many different classes were predicted.
        train_correct: Training images that the same weights have right, without augmentation, in eval mode.
        train_images: Of how many; 0 where that is not known.
        train_set: Of which these were drawn; None for endlessly many.
        train_losses: By epoch, from 0.
        val_losses: By epoch, of those that were validated.
        other_losses: The same of other names, of training and of validation, by which it may have diverged.
        loss_error: Standard error of the validation loss over its images, as a share of it.
        stage_starts: The epochs in which stages begin; what trains, and on what, changes there.
        epochs: That were trained.
        planned_epochs: That were to be trained; None where there was no such number.
        stopped_by: What ended the run before its plan was over, in a word
            (:func:`lightning_recipes.engine.run_end.what_stopped`).
        measure: What the share of correct images is called.
        doubtful_labels: Validation images that confident learning counts as mislabelled.
        against_chance: Whether the run is shown to be better than chance, and by which numbers; None: by ``correct``.
    """

    correct: int
    images: int
    classes: int
    largest_class: int
    predicted_classes: int
    train_correct: int = 0
    train_images: int = 0
    train_set: int | None = None
    train_losses: Mapping[int, float] = field(default_factory=dict)
    val_losses: Mapping[int, float] = field(default_factory=dict)
    other_losses: tuple[Mapping[int, float], Mapping[int, float]] = ({}, {})
    loss_error: float = 0.0
    stage_starts: Sequence[int] = (0,)
    epochs: int = 0
    planned_epochs: int | None = None
    stopped_by: str | None = None
    doubtful_labels: int = 0
    measure: str = "accuracy"
    against_chance: tuple[bool, str] | None = None

    @property
    def chance(self) -> float:
        """Accuracy that needs no image: of the largest class for all, or of a guess."""
        return max(1 / self.classes, self.largest_class / self.images)
