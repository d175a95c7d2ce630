"""Bias or variance: what a run's figures say in words, what to try next, and which number led to it.

Source: Ng (2018), "Machine Learning Yearning", chapters 20 to 27; Karpathy (2019), "A Recipe for Training Neural
Networks", steps 4 and 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_recipes.evaluation.intervals import Z_95, wilson_interval

__all__ = ["Finding", "diagnose", "images_for"]

DIGIT = 0.005  # half of the last digit of a whole percent
RISE = 0.05  # a validation loss that rises by less than a twentieth over its lowest has not risen


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


def images_for(half_width: float, accuracy: float) -> int:
    """Return how many validation images an accuracy needs to be known to plus or minus ``half_width``.

    ``z^2 p (1 - p) / h^2``, the normal approximation.

    Example:
        >>> images_for(0.005, 0.92)
        11310
    """
    return math.ceil(Z_95**2 * accuracy * (1 - accuracy) / half_width**2)


def diagnose(*, train_accuracy: float | None, correct: int, images: int, val_losses: Sequence[float]) -> list[Finding]:
    """Return what to know before the next experiment.

    Args:
        train_accuracy: Of the last epoch, as it was trained (with augmentation and dropout); None if unknown.
        correct: Validation images that are right.
        images: All of them, >= 1.
        val_losses: Of every epoch that was validated.
    """
    findings = []
    accuracy, (low, high) = correct / images, wilson_interval(correct, images)
    if len(val_losses) > 2:
        findings += _over_the_epochs(val_losses)
    if train_accuracy is not None:
        findings.append(_bias_or_variance(train_accuracy, accuracy, high))
    findings.append(_size(images, accuracy, low, high))
    return findings


def _size(images: int, accuracy: float, low: float, high: float) -> Finding:
    """Whether the validation set is large enough for the digits that are read off it."""
    half, interval = (high - low) / 2, f"95 % interval {low:.1%} to {high:.1%}"
    if half <= DIGIT:
        enough = f"{images} validation images are enough to read whole percents off them"
        return Finding(enough, interval, "nothing to do")
    needed = images_for(DIGIT, min(max(accuracy, 1 / images), 1 - 1 / (images + 1)))
    return Finding(
        f"{images} validation images do not tell accuracies apart that are within {2 * half:.1%}",
        interval,
        f"compare runs on the same images and with several seeds; about {needed} images would do for plus or minus "
        f"{DIGIT:.1%}",
    )


def _over_the_epochs(losses: Sequence[float]) -> list[Finding]:
    lowest, last = min(losses), losses[-1]
    best = losses.index(lowest)
    if last > (1 + RISE) * lowest:
        where = f"at its lowest (validation {best + 1} of {len(losses)})"
        return [
            Finding(
                "It overfits: the validation loss has risen again",
                f"validation loss {lowest:.4g} {where}, {last:.4g} at the end",
                "stop earlier (EarlyStopping), more data or augmentation, more regularisation, a smaller model",
            )
        ]
    if best == len(losses) - 1:
        return [
            Finding(
                "It was still getting better when it ended",
                f"the lowest validation loss, {lowest:.4g}, is the last of {len(losses)}",
                "train longer",
            )
        ]
    return []


def _bias_or_variance(train: float, val: float, val_high: float) -> Finding:
    bias, variance = 1 - train, train - val
    numbers = f"training error {bias:.1%}, validation error {1 - val:.1%}"
    if variance <= 0 or val_high >= train:
        return Finding(
            "Training and validation agree: what is left is bias, if the task can be done better",
            numbers,
            "a larger or better pretrained model, larger images, train longer, less regularisation",
        )
    if variance > bias:
        return Finding(
            "Variance is the larger part: it does better on what it was trained on. A training loss below the "
            "validation loss is no overfitting by itself",
            f"{numbers}: a gap of {variance:.1%}",
            "more data, more augmentation (CutOut, mixup), more regularisation, a pretrained backbone, an ensemble",
        )
    return Finding(
        "Bias is the larger part: it errs on what it was trained on nearly as much",
        f"{numbers}: a gap of {variance:.1%}",
        "a larger or better pretrained model, larger images, train longer, a better rate, less regularisation",
    )
