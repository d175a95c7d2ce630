"""What the losses of a run's epochs say."""

import math
from dataclasses import dataclass

from lightning_recipes.evaluation.intervals import Z_95
from lightning_recipes.evaluation.outcome import Finding, Outcome

__all__ = ["Trend", "trend_of"]

MOVED = 0.05  # a loss that changes by less than a twentieth has not changed


@dataclass(frozen=True)
class Trend:
    """Where the validation loss went.

    Attributes:
        finding: In words.
        improving: It was still falling at the end.
        overfits: It has risen again, and not that of training.
    """

    finding: Finding
    improving: bool = False
    overfits: bool = False


def trend_of(run: Outcome) -> Trend | None:
    """Return what the validation loss did; changes within its error over the images, or a twentieth, are none."""
    epochs = sorted(epoch for epoch, loss in run.val_losses.items() if math.isfinite(loss))
    losses = [run.val_losses[epoch] for epoch in epochs]
    if len(losses) < 3:
        return None
    lowest, last = min(losses), losses[-1]
    best, count = losses.index(lowest), len(losses)
    matters = max(MOVED, Z_95 * run.loss_error)
    if last > lowest + matters * abs(lowest):
        where = f"at its lowest (validation {best + 1} of {count}, epoch {epochs[best]})"
        number = f"validation loss {lowest:.4g} {where}, {last:.4g} at the end (epoch {epochs[-1]})"
        return _risen(run, epochs[best], epochs[-1], number)
    quarter = max(1, count // 4)
    before = min(losses[:-quarter])
    if best < count - 1 or last >= before - matters * abs(before):
        return None
    finding = Finding(
        "It was still getting better when it ended",
        f"validation loss {before:.4g} up to validation {count - quarter}, {last:.4g} at the last, number {count} "
        f"(epoch {epochs[-1]})",
        "train longer",
    )
    return Trend(finding, improving=True)


def _risen(run: Outcome, best: int, last: int, number: str) -> Trend:
    stages = [max((start for start in run.stage_starts if start <= epoch), default=0) for epoch in (best, last)]
    if stages[0] != stages[1]:
        what = f"The validation loss was lowest in an earlier stage: the stage from epoch {stages[1]} on has raised it"
        return Trend(Finding(what, number, "a lower learning rate or fewer epochs for that stage, or leave it out"))
    before, after = run.train_losses.get(best), run.train_losses.get(last)
    if before is not None and after is not None and after > before * (1 + MOVED):
        what = "The loss has risen again, that of training too: it is not stable"
        number = f"{number}; training loss {before:.4g} then, {after:.4g} at the end"
        return Trend(Finding(what, number, "a lower learning rate, a schedule that ends low, GradientClipping"))
    advice = "stop earlier (EarlyStopping), more data or augmentation, more regularisation, a smaller model"
    return Trend(Finding("It overfits: the validation loss has risen again", number, advice), overfits=True)
