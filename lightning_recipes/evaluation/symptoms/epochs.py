"""What the epochs of a stage say of a training, by the metrics that are logged at their ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightning_recipes.evaluation.percent import percent
from lightning_recipes.evaluation.symptoms.symptom import Symptom

__all__ = ["StageCourse", "all_known", "always_clipped", "overfits", "stands_still"]

RISING = 3
"""Validations in a row above the lowest loss, after which it counts as rising."""
RISEN = 0.25
"""Share by which it is above it by then."""
FALLEN = 0.05
"""Share by which the training loss has fallen meanwhile."""
STANDING = 5
"""Epochs without a lower loss that are a plateau."""
LOWER = 0.01
"""Share by which a loss has to be lower to count as lower."""
LEARNT = 0.05
"""Share of the run's first loss below which there is nothing left to learn."""
KNOWN, KNOWN_EPOCHS = 0.9995, 10
"""Share of training images right, for so many epochs, that is all of them."""
CLIPPED, CLIPPED_EPOCHS, FEWEST_STEPS = 0.99, 2, 10
"""Share of the steps, of epochs of so many, in so many epochs, that is all of them."""


@dataclass
class StageCourse:
    """A stage so far.

    Attributes:
        name: Of the stage.
        start: Its first epoch.
        epochs: That it is to have; None where that is not known.
        cached: Whether it trains on cached features.
        rows: Metrics at the end of each of its epochs; those of a validation where there was one.
    """

    name: str = ""
    start: int = 0
    epochs: int | None = None
    cached: bool = False
    rows: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Highest learning rate so far."""
        return max((row["lr"] for row in self.rows.values() if "lr" in row), default=None)

    @property
    def half_over(self) -> bool:
        """Whether half of its epochs are over."""
        return self.epochs is not None and 2 * len(self.rows) >= self.epochs


def overfits(course: StageCourse, score: tuple[str, str], *, lowers_later: bool) -> Symptom | None:
    """Tell whether the validation loss rises while the training loss falls, and no score has become better since.

    Where the rate is to be lowered, as in the middle of one cycle, a loss that has risen falls again with it.

    Args:
        course: Of the stage.
        score: Name of the metric that decides which epoch is best, and ``max`` or ``min``.
        lowers_later: Whether the rate is to be lowered to less than half in what is left of the stage.
    """
    rows = {epoch: row for epoch, row in course.rows.items() if "val_loss" in row and "train_loss" in row}
    if len(rows) <= RISING or lowers_later:
        return None
    best, last = min(rows, key=lambda epoch: rows[epoch]["val_loss"]), max(rows)
    since = [row for epoch, row in rows.items() if epoch > best]
    if len(since) < RISING or any(row["val_loss"] <= rows[best]["val_loss"] for row in since[-RISING:]):
        return None
    now, then = rows[last], rows[best]
    risen = now["val_loss"] > (1 + RISEN) * then["val_loss"]
    fallen = now["train_loss"] < (1 - FALLEN) * then["train_loss"]
    if not (risen and fallen) or _has_become_better(rows, best, score):
        return None
    return Symptom(
        "overfits",
        "The validation loss rises while the training loss falls",
        f"since epoch {best}: validation {then['val_loss']:.3g} to {now['val_loss']:.3g}, "
        f"training {then['train_loss']:.3g} to {now['train_loss']:.3g}",
        "Give more data or augmentation, more weight decay, or fewer epochs (EarlyStopping)",
    )


def _has_become_better(rows: Mapping[int, Mapping[str, float]], since: int, score: tuple[str, str]) -> bool:
    name, mode = score
    sign = 1 if mode == "max" else -1
    before = [sign * row[name] for epoch, row in rows.items() if epoch <= since and name in row]
    after = [sign * row[name] for epoch, row in rows.items() if epoch > since and name in row]
    return bool(before and after) and max(after) > max(before)


def stands_still(course: StageCourse, first_loss: float | None, *, lowers_later: bool) -> Symptom | None:
    """Tell whether neither loss has become lower for five epochs, while there is something left to learn at this rate.

    Where the schedule has lowered the rate to less than half, or will, that is what it is for.

    Args:
        course: Of the stage.
        first_loss: Of the run; None where that is not known.
        lowers_later: Whether the rate is to be lowered to less than half in what is left of the stage.
    """
    epochs = sorted(epoch for epoch, row in course.rows.items() if "train_loss" in row)
    if first_loss is None or len(epochs) <= STANDING or lowers_later:
        return None
    before, lately = epochs[:-STANDING], epochs[-STANDING:]
    lowest = min(course.rows[epoch]["train_loss"] for epoch in epochs)
    if lowest < LEARNT * first_loss or any(_lower(course, name, before, lately) for name in ("train_loss", "val_loss")):
        return None
    rates = [course.rows[epoch]["lr"] for epoch in lately if "lr" in course.rows[epoch]]
    highest = course.rate
    if highest is None or not rates or min(rates) < highest / 2:
        return None
    loss = [course.rows[epoch]["train_loss"] for epoch in (lately[0], lately[-1])]
    return Symptom(
        "stands_still",
        "The losses stand still",
        f"training {loss[0]:.3g} to {loss[1]:.3g} in epochs {lately[0]} to {lately[-1]}, at a rate of {rates[-1]:.3g}",
        "Lower the rate (OnPlateau does it), or take a schedule that does",
    )


def _lower(course: StageCourse, name: str, before: list[int], lately: list[int]) -> bool:
    then = [course.rows[epoch][name] for epoch in before if name in course.rows[epoch]]
    now = [course.rows[epoch][name] for epoch in lately if name in course.rows[epoch]]
    return bool(then and now) and min(now) < min(then) - LOWER * abs(min(then))


def all_known(course: StageCourse) -> Symptom | None:
    """Tell whether a stage on cached features has had all training images right for long, and half of it is to come."""
    lately = [course.rows[epoch] for epoch in sorted(course.rows)[-KNOWN_EPOCHS:]]
    if not course.cached or course.epochs is None or len(lately) < KNOWN_EPOCHS or course.half_over:
        return None
    if not all(row.get("train_accuracy", 0.0) >= KNOWN for row in lately):
        return None
    left = course.epochs - len(course.rows)
    return Symptom(
        "nothing_left_to_learn",
        f"Stage '{course.name}' has all training images right, and {left} epochs to go",
        f"train_accuracy is 1 since epoch {max(course.rows) - KNOWN_EPOCHS + 1} of {course.start + course.epochs}",
        "Give it fewer epochs, or more weight decay",
    )


def always_clipped(course: StageCourse) -> Symptom | None:
    """Tell whether gradients were clipped at every step of two epochs: then it is another name for a lower rate."""
    lately = [course.rows[epoch] for epoch in sorted(course.rows)[-CLIPPED_EPOCHS:]]
    shares = [row.get("gradient_clipping/clipped_share", 0.0) for row in lately if row["steps"] >= FEWEST_STEPS]
    if len(shares) < CLIPPED_EPOCHS or min(shares) < CLIPPED:
        return None
    return Symptom(
        "always_clipped",
        "Gradients are clipped at every step",
        f"{percent(min(shares))} of the steps of {CLIPPED_EPOCHS} epochs; gradient_clipping/norm says how long each is",
        "Give a limit above the norm of calm epochs, or lower the rate and leave clipping out",
    )
