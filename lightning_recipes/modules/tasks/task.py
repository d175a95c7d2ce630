"""What a task is: what labels are, how logits become probabilities, and what is said of them in the run's files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_recipes.evaluation.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Doubt", "Task", "Wrong"]


@dataclass(frozen=True)
class Wrong:
    """An answer that is wrong, to be explained.

    Attributes:
        row: Of the predictions.
        said: Position, in :meth:`Task.explained`, of what was said.
        true: Likewise of what is true.
        names: Of both.
        probabilities: Of both.
    """

    row: int
    said: int
    true: int
    names: tuple[str, str]
    probabilities: tuple[float, float]


@dataclass(frozen=True)
class Doubt:
    """A label that is probably wrong.

    Attributes:
        row: Of the predictions.
        given: The label, in words.
        suggested: What the image is taken for.
        margin: Probability of the label less that of the suggestion.
        confident: Counted as a mistake by confident learning.
    """

    row: int
    given: str
    suggested: str
    margin: float
    confident: bool


class Task(Protocol):
    """A task of classification; it keeps no state.

    Labels are (N,) or (N, C), as the task has them; probabilities are (N, C), float32.

    Attributes:
        name: As a recipe gives it.
        several_labels: Whether an image may have several.
        fewest_classes: With fewer there is nothing to tell apart.
        best_metric: Name of the metric that decides which epoch is best, and ``max`` or ``min``.
        training_metric_name: What :meth:`training_metric` is logged as, after ``train_``.
        losses: By name.
        further_metrics: By name, what makes metrics that are measured where they are asked for; they take what
            :meth:`metrics` take.
        default_loss: Of them.
        intervals_are_quick: Whether :meth:`summary` gives them in no time, also after each epoch.
        right_means: What the share of images that are right is called.
        share_right_means: What the mean of :meth:`share_right` is called.
    """

    name: str
    several_labels: bool
    fewest_classes: int
    best_metric: tuple[str, Literal["max", "min"]]
    training_metric_name: str
    losses: Mapping[str, type[nn.Module]]
    further_metrics: Mapping[str, Callable[[int], Metric]]
    default_loss: str
    intervals_are_quick: bool
    right_means: str
    share_right_means: str

    # In training and evaluation.

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities (N, C), float32, of logits (N, C)."""
        ...

    def mean_logits(self, members: Sequence[Tensor]) -> Tensor:
        """Return the logits (N, C) of the mean of several members' probabilities, from the logits of each."""
        ...

    def loss_weight(self, labels: Tensor, class_weights: Tensor | None) -> Tensor | float:
        """Return what the loss of a batch with these labels counts in the mean over all images."""
        ...

    def metrics(self, num_classes: int, prefix: str) -> MetricCollection:
        """Return what evaluation reports, from probabilities (N, C) and labels; names open with ``prefix``."""
        ...

    def training_metric(self, num_classes: int) -> Metric:
        """Return what is counted while training, from logits (N, C) and labels."""
        ...

    # Of probabilities that are there.

    def predicted(self, probabilities: Tensor) -> Tensor:
        """Return what is said, in the shape of labels."""
        ...

    def right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return whether each image is right, (N,), bool."""
        ...

    def share_right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the share of each image's labels that are right, (N,), float64."""
        ...

    def against_chance(self, analysis: Mapping[str, Any], labels: Tensor) -> tuple[bool, str] | None:
        """Tell whether what is said is shown to be better than chance, and by which numbers.

        None: the share of images that are right says it, against the most frequent labels.

        Args:
            analysis: What :meth:`analysis` returned.
            labels: What is true.
        """
        ...

    def losses_of(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the negative log likelihood of each image's labels, (N,), float64."""
        ...

    def strata(self, labels: Tensor) -> Tensor:
        """Return a number an image, (N,), the same for images of the same labels."""
        ...

    def words(self, labels: Tensor, names: Sequence[str]) -> str:
        """Return one image's labels in words."""
        ...

    def prediction(self, probabilities: Tensor, names: Sequence[str]) -> Prediction:
        """Return what is said of one image, from its probabilities (C,)."""
        ...

    # In the run's files.

    def seen(self, probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return what is kept of a batch until its validation is over, one row an image."""
        ...

    def summary(self, seen: Mapping[str, Tensor] | None, *, intervals: bool = True) -> dict[str, Any]:
        """Return the entries of ``summary.json`` for all rows of :meth:`seen`; None of all where nothing was seen."""
        ...

    def judge(self, probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
        """Return what probabilities are worth: the best metric's value without ``val_``, ``ci95``, ``loss``."""
        ...

    def prediction_rows(self, seen: Mapping[str, Tensor], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Return the columns of ``val_predictions.csv`` between ``path`` and ``sha256``, and its rows.

        Runs are compared by ``true``, ``predicted`` and, where it is there, ``log_loss``.
        """
        ...

    def analysis(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
        """Return what ``errors.json`` says of classes and calibration."""
        ...

    def figures(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], analysis: Mapping[str, Any]
    ) -> "dict[str, Figure]":
        """Return the pictures of :meth:`analysis`, by the name of their file."""
        ...

    def doubts(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> list[Doubt]:
        """Return the labels that are probably wrong, the most probable mistakes first."""
        ...

    def wrong(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], *, most: int, by: str
    ) -> tuple[list[Wrong], int]:
        """Return answers that are wrong, in the order in which to look at them, and how many there are of all.

        Args:
            probabilities: (N, C).
            labels: What is true.
            names: Of the classes.
            most: No more than so many.
            by: One of :data:`lightning_recipes.evaluation.mistakes.ORDERS`.
        """
        ...

    def explained(self, logits: Tensor) -> Tensor:
        """Return a score for everything that can be said of an image, (N, S)."""
        ...
