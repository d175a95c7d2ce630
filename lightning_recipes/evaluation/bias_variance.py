"""Bias or variance: training and validation images, judged with the same weights and without augmentation.

Source: Ng (2018), "Machine Learning Yearning", chapters 20 to 27.
"""

from lightning_recipes.evaluation.intervals import difference_interval, wilson_interval
from lightning_recipes.evaluation.learning_curve import Trend
from lightning_recipes.evaluation.outcome import Finding, Outcome
from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = ["bias_or_variance"]


def bias_or_variance(run: Outcome, trend: Trend | None = None) -> Finding:
    """Return which of the two is shown to be the larger part of the error, if one is.

    Args:
        run: With training images.
        trend: Of its validation loss; nothing is advised that contradicts it.
    """
    wrong, train_wrong = run.images - run.correct, run.train_images - run.train_correct
    counts = (wrong, run.images, train_wrong, run.train_images)
    low, high = difference_interval(*counts)
    # Variance less bias. That there is a gap has to hold for images like these; bias is the error on these very images.
    excess_low, excess_high = difference_interval(*counts, times=2, other_of=run.train_set)
    gap = wrong / run.images - train_wrong / run.train_images
    number = (
        f"training error {_with_interval(train_wrong, run.train_images)}, without augmentation; validation error "
        f"{_with_interval(wrong, run.images)}; difference {percent(gap)} ({percent_range(low, high)}); 95 % intervals"
    )
    if high < 0:
        return Finding(
            "It does better on validation images than on those that it was trained on: the two are not alike",
            number,
            "a split at random, or a look at what sets them apart: wrong labels in training, easier images or repeated "
            "ones in validation",
        )
    if low > 0 and excess_low > 0:
        exhausted = train_wrong == 0 and not (trend is not None and trend.improving)
        all_right = "; longer training has nothing left to learn from these images" if exhausted else ""
        return Finding(
            "Variance is the larger part: it does better on what it was trained on. A training loss below the "
            "validation loss is no overfitting by itself",
            number,
            "more data, more augmentation (CutOut, mixup), more regularisation, a pretrained backbone, an ensemble"
            + all_right
            + _labels(run),
        )
    if excess_high < 0 and trend is not None and trend.overfits:
        return Finding(
            "At its best epoch it errs on what it was trained on too, and what it learns of it later does not carry "
            "over: it is not too small",
            number,
            "more data, more augmentation, more regularisation, a pretrained backbone" + _labels(run),
        )
    if excess_high < 0:
        return Finding(
            "Bias is the larger part: it errs on what it was trained on too, if the task can be done better",
            number,
            "a larger or better pretrained model, more layers that train, larger images, train longer, a better rate, "
            "less augmentation or regularisation" + _labels(run),
        )
    if low > 0:
        return Finding(
            "It does better on what it was trained on; whether bias or variance is the larger part is not shown",
            number,
            "more data or augmentation for the difference" + _labels(run),
        )
    return Finding(
        "Training and validation error do not differ beyond their intervals, and neither bias nor variance is shown "
        "to be the larger part",
        number,
        "nothing that these figures show; where they are better than you expected, look for validation images among "
        "the training images, which errors cannot tell",
    )


def _with_interval(hits: int, images: int) -> str:
    low, high = wilson_interval(hits, images)
    return f"{percent(hits / images)} ({percent_range(low, high)}) of {images} images"


def _labels(run: Outcome) -> str:
    """Point to the labels where they may be a good part of the errors."""
    if 2 * run.doubtful_labels < run.images - run.correct or not run.doubtful_labels:
        return ""
    counted = f"confident learning counts {run.doubtful_labels} of {run.images} validation images as mislabelled"
    return f"; first of all look at label_issues.csv: {counted}"
