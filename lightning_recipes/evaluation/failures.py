"""What makes the other figures of a run meaningless: it diverged, was cut off, or has learnt nothing."""

from lightning_recipes.evaluation.divergence import epochs_not_finite
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.outcome import Finding, Outcome
from lightning_recipes.evaluation.percent import percent, percent_range

__all__ = ["at_chance", "diverged", "ended_before", "not_finite", "stood_still"]

STOOD_STILL = 0.02  # a training has not begun, where its loss has changed by less than this share


def diverged(run: Outcome, epoch: int) -> Finding:
    """From an epoch on no loss was a number."""
    trained = run.train_losses or run.other_losses[0]
    before = [e for e in trained if e < epoch]
    last = f"training loss {trained[max(before)]:.4g} in epoch {max(before)}" if before else "none before it"
    return Finding(
        f"It diverged: the loss was not finite from epoch {epoch} on",
        f"{last}; {run.epochs - epoch} of {run.epochs} epochs were without a finite loss",
        "a lower learning rate (lr-find), a longer warm-up, GradientClipping, bf16 or 32-bit in the place of 16-bit "
        "precision",
    )


def not_finite(run: Outcome) -> list[Finding]:
    """Losses that were no numbers, before others that are."""
    epochs = epochs_not_finite(run.train_losses, run.val_losses, *run.other_losses)
    if not epochs:
        return []
    return [
        Finding(
            "The loss was not finite for a while, and was again later",
            f"epochs {', '.join(map(str, epochs[:10]))}{', ...' if len(epochs) > 10 else ''} of {run.epochs}",
            "GradientClipping, a lower learning rate, bf16 or 32-bit in the place of 16-bit precision",
        )
    ]


def ended_before(run: Outcome) -> Finding:
    """It was ended from outside: its figures are those of a part of the recipe."""
    planned = "" if run.planned_epochs is None else f" of {run.planned_epochs}"
    return Finding(
        f"It was ended before its plan was, by {'a callback' if run.stopped_by == 'callback' else run.stopped_by}: "
        "what the recipe reaches is not known",
        f"{run.epochs}{planned} epochs were trained",
        "let it go on (--ckpt_path last), or plan fewer epochs, so that the schedule comes to its end",
    )


def at_chance(run: Outcome) -> Finding:
    """It is not shown to be better than an answer that needs no image; the advice follows the training loss."""
    accuracy, (low, high) = run.correct / run.images, wilson_interval(run.correct, run.images)
    number = (
        f"{run.measure} {percent(accuracy)} (95 % interval {percent_range(low, high)}), chance {percent(run.chance)}"
    )
    number = number if run.against_chance is None else run.against_chance[1]
    if run.predicted_classes == 1 and run.largest_class < run.images:
        what = f"It says the same for all {run.images} validation images: no better than chance"
    elif run.train_images and wilson_interval(run.train_correct, run.train_images)[0] > run.chance:
        right = f"{percent(run.train_correct / run.train_images)} of {run.train_images} training images are right"
        return Finding(
            "It is no better than chance on validation images: what it has learnt of training images does not carry",
            f"{number}; {right}",
            "look whether labels belong to their images and mean the same in both splits; more data, a pretrained "
            "backbone, more regularisation",
        )
    else:
        what = "It is not shown to be better than chance"
    losses = list(run.train_losses.values())
    if len(losses) < 2:
        return Finding(what, number, "a learning rate that was tested (lr-find), and a look at images and labels")
    still = STOOD_STILL * abs(losses[0])
    change, said = losses[-1] - losses[0], f"{number}; training loss {losses[0]:.4g} first, {losses[-1]:.4g} last"
    if change > still:
        return Finding(what, said, "a lower learning rate (lr-find): the training loss has risen")
    if change > -still:
        advice = "a higher learning rate (lr-find): the training loss has hardly changed; or a look whether labels "
        return Finding(what, said, f"{advice}belong to their images")
    return Finding(what, said, "train longer; a pretrained backbone; a look whether labels belong to their images")


def stood_still(run: Outcome) -> list[Finding]:
    """The training loss is where it was, and most training images are wrong: a network at random can beat chance."""
    losses = list(run.train_losses.values())
    if len(losses) < 2 or not run.train_images or 2 * run.train_correct >= run.train_images:
        return []
    if max(losses) - min(losses) >= STOOD_STILL * abs(losses[0]):
        return []
    right = f"{percent(run.train_correct / run.train_images)} of {run.train_images} training images are right"
    return [
        Finding(
            "It has hardly learnt: the training loss is where it was",
            f"training loss {losses[0]:.4g} first, {losses[-1]:.4g} last; {right}",
            "a higher learning rate (lr-find); or a look whether labels belong to their images",
        )
    ]
