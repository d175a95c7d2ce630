"""What a run's figures say in words, what to try next, and which numbers led to it.

Source: Ng (2018), "Machine Learning Yearning", chapters 20 to 27; Karpathy (2019), "A Recipe for Training Neural
Networks", steps 4 and 5.
"""

import math

from lightning_recipes.evaluation.bias_variance import bias_or_variance
from lightning_recipes.evaluation.divergence import diverged_at_epoch
from lightning_recipes.evaluation.failures import at_chance, diverged, ended_before, not_finite, stood_still
from lightning_recipes.evaluation.intervals import Z_95, wilson_interval
from lightning_recipes.evaluation.learning_curve import trend_of
from lightning_recipes.evaluation.outcome import Finding, Outcome
from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = ["diagnose", "images_for"]

DIGIT = 0.005  # half of the last digit of a whole percent
TOO_WIDE = 0.05  # plus or minus so much says little about any change that is worth trying


def images_for(half_width: float, accuracy: float) -> int:
    """Return how many validation images an accuracy needs to be known to plus or minus ``half_width``.

    ``z^2 p (1 - p) / h^2``, the normal approximation.

    Example:
        >>> images_for(0.005, 0.92)
        11310
    """
    return math.ceil(Z_95**2 * accuracy * (1 - accuracy) / half_width**2)


def diagnose(run: Outcome) -> list[Finding]:
    """Return what to know before the next experiment, most important first.

    What makes the others meaningless is said in their place: a run that diverged, one that has learnt nothing, one that
    was ended before its plan. Two shares are said to differ where 0 is outside the 95 % interval of their
    difference (Newcombe 1998, method 10).
    """
    if (epoch := diverged_at_epoch(run.train_losses, run.val_losses, *run.other_losses)) is not None:
        return [diverged(run, epoch), _size(run)]
    findings, trend = not_finite(run), trend_of(run)
    if run.stopped_by is not None:
        findings.append(ended_before(run))
    better = wilson_interval(run.correct, run.images)[0] > run.chance
    if not (better if run.against_chance is None else run.against_chance[0]):
        findings.append(at_chance(run))
    else:
        findings += stood_still(run)
    judge = not findings and run.train_images
    findings += [] if trend is None else [trend.finding]
    if judge:
        findings.append(bias_or_variance(run, trend))
    return [*findings, _size(run)]


def _size(run: Outcome) -> Finding:
    """Whether the validation set is large enough for the digits that are read off it."""
    images, accuracy, (low, high) = run.images, run.correct / run.images, wilson_interval(run.correct, run.images)
    half, interval = (high - low) / 2, f"95 % interval of the {run.measure} {percent_range(low, high)}"
    if half <= DIGIT:
        enough = f"{images} validation images are enough to read whole percents off them"
        return Finding(enough, interval, "nothing to do")
    needed = images_for(DIGIT, min(max(accuracy, 1 / images), 1 - 1 / (images + 1)))
    needed = round(needed, 2 - len(str(needed)))  # nobody counts them to the last one
    too_few = "Too few validation images: " if half > TOO_WIDE else ""
    return Finding(
        f"{too_few}{images} validation images do not tell accuracies apart that are within {percent(2 * half)}",
        interval,
        f"compare runs on the same images and with several seeds; about {needed:,} images would do for plus or minus "
        f"{percent(DIGIT)}",
    )
