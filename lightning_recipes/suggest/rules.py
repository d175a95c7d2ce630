"""From what was measured to a recipe: each choice with the number that led to it.

Sources: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features", for the head before all layers; Kolesnikov
et al. (2020), "Big Transfer", section 3.3, for a length in steps; Howard and Ruder (2018), "ULMFiT", for lower rates of
earlier layers. What no paper says was measured by ``benchmarks/transfer.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_recipes.suggest.choices import Choice, Measured, Suggestion
from lightning_recipes.suggest.data_facts import DataFacts
from lightning_recipes.suggest.experience import error_left
from lightning_recipes.suggest.fit_time import FEWEST_STEPS, MOST_EPOCHS, MOST_IMAGES, FitTime, Length
from lightning_recipes.suggest.probe import Probe

__all__ = ["TRAINING_TO_READING", "best_size", "expected_error", "suggest"]

HEAD_LR = 3e-3
ALL_LR, ALL_LR_DECAY, WHOLE_LR_STEPS = 1e-3, 0.7, 300
"""Of all layers, from so many steps on; of fewer in proportion, since few steps at a high rate end worse than none."""
TRAINING_TO_READING = 4.0
"""Time of an image in a training step for that of running the frozen backbone on it; until steps are measured."""
SHARE_OF_TIME = 0.95
"""Of what is asked for, as a step may take longer than the few that were measured."""
READING = 0.2
"""Of the time, for reading all training images once."""
FASTER = 1.3
"""A larger batch has to be so much faster an image to be taken."""
UNEVEN = 20
"""Images of the largest class for one of the smallest, from where on all classes are drawn equally often."""
WORSE_MIRRORED = 0.02
"""Accuracy that mirrored images lose, its interval left out, where left and right matter."""
UNSEEN = "so these features see no harm in a flip; where left and right matter, take {name: light, flip: false}"
"""Features that were pretrained with flips may not see what training would; benchmarks/RESULTS.md has a set of that."""
WORTH_WHILE = 0.005
"""Accuracy that more time should bring."""


def expected_error(probe: Probe, data: DataFacts, seconds: float) -> float:
    """Return the validation error that a training of so many seconds is expected to end with."""
    step = 32 * TRAINING_TO_READING * probe.seconds_an_image
    reading = probe.seconds_an_image * (data.train_images + 2 * data.val_images)
    return (1 - probe.accuracy) * error_left(max(0.0, seconds - reading) / step)[0]


def best_size(probes: Sequence[Probe], data: DataFacts, seconds: float) -> Probe:
    """Return the probe of the size with the smallest expected error; of two that are as good, the smaller."""
    return min(sorted(probes, key=lambda one: one.size), key=lambda one: expected_error(one, data, seconds))


def suggest(measured: Measured) -> Suggestion:
    """Choose; a pure function of what was measured."""
    batch_size, of_batch = _batch_size(measured)
    per_class = _images_per_class(measured)
    time = _time(measured, batch_size, per_class)
    length = time.length(SHARE_OF_TIME * measured.seconds)
    choices = [
        Choice("model.backbone", measured.backbone, _of_backbones(measured)),
        _size(measured),
        Choice("data.batch_size", batch_size, of_batch),
        _augment(measured),
        *_of_uneven_classes(measured),
        *_of_many_images(measured, per_class, length, time.whole_epoch),
    ]
    if length.every > 1:
        said = f"{length.epochs // length.every} validations of all layers; one an epoch would cost time that trains"
        choices.append(Choice("trainer.check_val_every_n_epoch", length.every, said))
    at_32 = length.steps * batch_size / 32
    return Suggestion(
        choices=choices,
        stages=_stages(measured, length, time.step),
        length=length,
        accuracy=_accuracy(measured.probe, at_32),
        outlook=_outlook(measured, length, at_32),
    )


def _of_backbones(measured: Measured) -> str:
    said = [
        f"{name} {_share(one)} in {one.seconds_an_image / measured.probe.seconds_an_image:.1f} times the time"
        for name, one in measured.others.items()
    ]
    return f"a linear probe of its features reaches {_share(measured.probe)}; {', '.join(said)}" if said else ""


def _time(measured: Measured, batch_size: int, per_class: int | None) -> FitTime:
    most = max(measured.data.class_counts) if per_class is None else per_class
    counts = [min(most, count) for count in measured.data.class_counts]
    balanced = measured.balanced or (measured.data.imbalance >= UNEVEN and "data.balance" not in measured.typed)
    return FitTime(
        start=measured.start,
        an_image=measured.probe.seconds_an_image,
        head_step=measured.costs.head,
        step=measured.costs.all_layers[batch_size],
        checkpoint=measured.costs.checkpoint,
        train_images=sum(counts),
        epoch_images=len(counts) * max(counts) if balanced else sum(counts),
        val_images=measured.data.val_images,
        batch_size=batch_size,
    )


def _images_per_class(measured: Measured) -> int | None:
    """Images a class that can be read once within the share of the time.

    None where all of them can, or where a class has less than half as many: then small classes would set the measure.
    """
    data, most = measured.data, READING * measured.seconds / measured.probe.seconds_an_image
    wanted, fewest = max(1, int(most / data.classes)), min(data.class_counts)
    return None if data.train_images <= most or 2 * fewest < wanted else min(wanted, fewest)


def _of_many_images(measured: Measured, per_class: int | None, length: Length, batches: int) -> list[Choice]:
    choices = []
    if per_class is not None:
        minutes = measured.data.train_images * measured.probe.seconds_an_image / 60
        choices.append(
            Choice(
                "data.images_per_class", per_class, f"reading all of them once would take {minutes:.1f} minutes alone"
            )
        )
    if length.batches is not None:
        said = (
            f"an epoch of any stage is so many of the {batches} batches, each time another part of the images, so that"
        )
        choices.append(Choice("trainer.limit_train_batches", length.batches, f"{said} {length.epochs} of them fit"))
    return choices


def _size(measured: Measured) -> Choice:
    chosen, others = measured.probe, [one for one in measured.probes if one.size != measured.costs.size]
    reason = (
        f"a linear probe (logistic regression on features of the frozen backbone, out of fold, {chosen.images} "
        f"training images) is right for {_share(chosen)} at {chosen.size} px"
    )
    for one in others:
        ratio = one.seconds_an_image / chosen.seconds_an_image
        reason += f" and {_share(one)} at {one.size} px, which takes {ratio:.1f} times as long an image"
    if others:
        ends = ", ".join(
            f"{100 - 100 * expected_error(one, measured.data, measured.seconds):.1f} % at {one.size} px"
            for one in measured.probes
        )
        reason += f"; expected of training in the time there is: {ends}"
    return Choice("data.image_size", chosen.size, reason)


def _batch_size(measured: Measured) -> tuple[int, str]:
    rates = {n: n / seconds for n, seconds in measured.costs.all_layers.items()}
    said = ", ".join(f"{rate:.0f} with batches of {n}" for n, rate in sorted(rates.items()))
    usual = 32 if 32 in rates else max(rates)
    larger = [n for n in rates if n > usual and rates[n] >= FASTER * rates[usual]]
    chosen = max(larger, default=usual)
    memory = measured.costs.peak_memory / 1e9
    return chosen, f"images a second in training: {said}; the largest used {memory:.1f} GB of memory"


def _of_uneven_classes(measured: Measured) -> list[Choice]:
    if measured.data.imbalance < UNEVEN:
        return []
    said = (
        f"the largest class has {measured.data.imbalance:.0f} times the images of the smallest; on a measured set of "
        "40 times, drawing them equally often brought 13 points and F1 from 0.31 to 0.53; on one of 7 it cost one"
    )
    return [Choice("data.balance", True, said)]


def _augment(measured: Measured) -> Choice:
    mean, half = measured.probe.mirrored_gain
    said = f"the probe is right {100 * mean:+.1f} +- {100 * half:.1f} points more often on mirrored images"
    if mean + half < -WORSE_MIRRORED:
        light = {"name": "light", "flip": False}
        return Choice("data.augment", light, f"random crop and CutOut, no flip: {said}, so left and right matter")
    return Choice("data.augment", "light", f"random crop, flip and CutOut: {said}, {UNSEEN}")


def _stages(measured: Measured, length: Length, step: float) -> list[tuple[Mapping[str, Any], str]]:
    probe = measured.probe
    neighbours = probe.by_neighbours / probe.images
    head = {"name": "head", "epochs": length.head_epochs, "train": "head", "lr": HEAD_LR, "schedule": "cosine"}
    stages: list[tuple[Mapping[str, Any], str]] = [
        (
            {**head, "cache_features": True},
            f"The head alone, on features that are computed once: linear probe {100 * probe.accuracy:.1f} %, five "
            f"nearest neighbours {100 * neighbours:.1f} %. A fresh head would distort the layers below (Kumar et al. "
            "2022).",
        )
    ]
    if length.epochs:
        rates = {"lr": _rate(length.steps), "lr_decay": ALL_LR_DECAY, "schedule": "one_cycle"}
        rates = {key: value for key, value in rates.items() if f"model.{key}" not in measured.typed}
        of_rate = _of_rate(length.steps) if "lr" in rates else "The rate is as given."
        stages.append(
            (
                {"name": "all", "epochs": length.epochs, "train": "all", **rates},
                f"All layers: {_of_length(length, step)} {of_rate} {_of_decay(rates)}",
            )
        )
    return stages


def _of_length(length: Length, step: float) -> str:
    steps = f"{length.steps:,} steps of {1000 * step:.0f} ms"
    if not length.enough:
        return f"the time that is left is for {steps}."
    return (
        f"{steps}, though there is time for more: on measured sets of 300 to 1,000 images more than "
        f"{MOST_IMAGES // 32:,} steps of 32 won nothing; where there are more images, each is seen {MOST_EPOCHS} times."
    )


def _of_decay(rates: Mapping[str, Any]) -> str:
    if "lr_decay" not in rates:
        return ""
    return f"Each layer group trains at {ALL_LR_DECAY:g} times the rate of the one above it (Howard and Ruder 2018)."


def _rate(steps: int) -> float:
    return float(f"{ALL_LR * min(1.0, steps / WHOLE_LR_STEPS):.2g}")


def _of_rate(steps: int) -> str:
    if steps >= WHOLE_LR_STEPS:
        return f"From {WHOLE_LR_STEPS} steps on a peak rate of {ALL_LR:g} won most on most of the measured sets."
    return (
        f"The peak rate is {ALL_LR:g} x {steps} / {WHOLE_LR_STEPS}: on the measured sets few steps at the whole rate "
        "ended below the head alone."
    )


def _accuracy(probe: Probe, steps: float) -> tuple[float, float, float]:
    middle, low, high = (1 - (1 - probe.accuracy) * left for left in error_left(steps))
    return middle, high, low


def _outlook(measured: Measured, length: Length, at_32: float) -> str:
    if not length.epochs and length.seconds > measured.seconds:
        return (
            f"Start, features and head alone take longer than {measured.seconds / 60:g} minutes: there is no time for "
            "all layers. A smaller data.image_size, or data.images_per_class, would take less."
        )
    if length.enough:
        minutes = f"{length.seconds / 60:.1f} of the {measured.seconds / 60:g} minutes"
        return (
            f"It takes {minutes}: more steps would be expected to bring nothing. More labelled images, a larger "
            "backbone (--backbones) or larger images would bring more."
        )
    now, more = (_accuracy(measured.probe, steps)[0] for steps in (at_32, 3 * max(at_32, FEWEST_STEPS)))
    if more - now < WORTH_WHILE:
        return (
            "Three times the minutes would be expected to bring less than half a point: more labelled images, or a "
            "larger backbone, would bring more."
        )
    return f"Three times the minutes would be expected to bring about {100 * (more - now):.1f} points."


def _share(probe: Probe) -> str:
    low, high = probe.interval
    return f"{100 * probe.accuracy:.1f} % [{100 * low:.1f}..{100 * high:.1f}]"
