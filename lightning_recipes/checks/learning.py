"""What a few steps teach the network: one batch by heart, and something of images that it has not seen.

Source: Karpathy (2019), "A Recipe for Training Neural Networks", section 2: "overfit one batch", "input-independent
baseline".
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from lightning_recipes.checks.check import Check, failed, passed, warned
from lightning_recipes.data.batch import batch_length, split_batch
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.trial_steps import no_trace, rehearse_loss, rehearse_step
from lightning_recipes.evaluation.intervals import paired_difference
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.protocols import GivesProbabilities, Staged, offers

__all__ = ["FIRST_BATCH", "check_learns", "check_one_batch", "check_repeats", "first_part"]

FIRST_BATCH = 16
"""Images of a batch that is learnt by heart."""
BY_HEART = 0.5
"""Share of its first loss below which a batch without labels counts as learnt."""
FACTORS = (1.0, 0.1, 10.0, 0.01, 100.0, 0.001, 1000.0)
"""Of the recipe's rate, in the order in which they are tried."""
NEAR, FAR_OFF = 10.0, 100.0
"""Factors on a rate that do not matter, and that do."""
LONGER = 4
"""Times as many steps for features that are not known to tell the classes apart, such as fresh ones."""
AS_MUCH = 0.75
"""Share of what true labels teach that shuffled ones teach only where labels leak."""
HELD_OUT = 128
"""Validation images that what was learnt is tried on."""


def first_part(batch: Any, images: int) -> Any:
    """Return at most so many images of a batch."""
    return split_batch(batch, max(1, math.ceil(batch_length(batch) / images)))[0]


@contextmanager
def _trained(
    trainer: pl.Trainer, module: pl.LightningModule, batches: Iterable[Any], *, factor: float = 1.0
) -> Iterator[Iterator[float]]:
    """Have a training inside that goes on with each loss that is asked for, and of which nothing stays."""
    with no_trace(trainer, module) as optimizer, _as_they_are(module):
        for group in optimizer.param_groups:
            group["lr"] = factor * group.get("initial_lr", group["lr"])

        def steps() -> Iterator[float]:
            for step, batch in zip(count(), batches):
                rehearse_step(trainer, optimizer, [batch], key=("check", "learning", step))
                yield rehearse_loss(trainer, [batch], key=("check", "learning", step))

        yield steps()


@contextmanager
def _as_they_are(module: Any) -> Iterator[None]:
    """Train on batches that are not mixed: a mixed one cannot be learnt by heart."""
    transforms = module.additions.batch_transforms
    module.additions.batch_transforms = {}
    try:
        yield
    finally:
        module.additions.batch_transforms = transforms


@dataclass(frozen=True)
class _Tried:
    """What came of one rate."""

    factor: float
    steps: int
    loss: float
    learnt: bool


def check_one_batch(trainer: pl.Trainer, module: Staged, batch: Any, *, steps: int) -> list[tuple[Check, float]]:
    """Tell whether a few images are learnt by heart, at the recipe's rate or at another one.

    Args:
        trainer: Of a fit that is in its last stage.
        module: Of the run.
        batch: Of that stage; 16 of its images are taken.
        steps: At each rate, at most.

    Returns:
        ``one_batch``, and ``learning_rate`` where some rate does it; with each the factor on the recipe's rate that
        does, or 1.
    """
    few = first_part(batch, FIRST_BATCH)
    with no_trace(trainer, _lightning(module)):
        first = rehearse_loss(trainer, [few], key=("check", "learning", 0))
    tried: list[_Tried] = []
    for factor in FACTORS:
        tried.append(_try(trainer, module, few, first, factor=factor, steps=steps))
        if tried[-1].learnt:
            break
    images, best = batch_length(few), tried[-1]
    expected = f"all {images} images right" if offers(_lightning(module), GivesProbabilities) else "half of its loss"
    at = "" if best.factor == 1 else f" at {best.factor:g} times the recipe's rate"
    if not best.learnt:
        lowest = min(tried, key=lambda one: one.loss if math.isfinite(one.loss) else math.inf)
        what = f"not in {steps} steps, at 1/1000 to 1000 times the rate; loss {first:.3g} to {lowest.loss:.3g}"
        advice = "look at the labels (figures/batch.png), at what is frozen, and at the loss; or give it more --steps"
        return [(failed("one_batch", what, expected, advice), 1.0)]
    measured = f"loss {first:.3g} to {best.loss:.3g} in {best.steps} steps{at}"
    checks = passed("one_batch", measured, expected), _of_rate(tried, first, module.base_lr)
    return [(check, best.factor) for check in checks]


def _try(trainer: pl.Trainer, module: Staged, few: Any, first: float, *, factor: float, steps: int) -> _Tried:
    """Train on a batch until it is known by heart, or the loss is lost."""
    loss, learnt, done = first, False, 0
    with _trained(trainer, _lightning(module), (few for _ in range(steps)), factor=factor) as losses:
        for loss in losses:
            done += 1
            if not math.isfinite(loss):
                break
            if loss < BY_HEART * first and _by_heart(trainer, module, few):
                learnt = True
                break
    return _Tried(factor, done, loss, learnt)


@torch.no_grad()
def _by_heart(trainer: pl.Trainer, module: Staged, few: Any) -> bool:
    """Whether all images are right; without labels, half of the loss is enough."""
    own = _lightning(module)
    if not offers(own, GivesProbabilities):
        return True
    batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(few))
    with trainer.precision_plugin.forward_context():  # as in training: statistics of the norm layers take longer
        logits = own.logits_of(batch)
    return bool(own.task.right(own.task.probabilities(logits), batch[1]).all())


def _of_rate(tried: Sequence[_Tried], first: float, lr: float) -> Check:
    name, (own, best) = "learning_rate", (tried[0], tried[-1])
    expected = "the recipe's, or one within a factor of ten, learns a batch by heart"
    if own.learnt:
        return passed(name, f"{lr:g}: learnt in {own.steps} steps", expected)
    what = f"{lr:g}: loss {first:.3g} to {own.loss:.3g} in {own.steps} steps"
    what += f"; {best.factor * lr:g} learns it in {best.steps}"
    if max(best.factor, 1 / best.factor) < FAR_OFF:
        return passed(name, what, expected)
    advice = f"set model.lr, or that of the stage, near {best.factor * lr:g}; lr-find says more"
    return failed(name, what, expected, advice)


def check_repeats(trainer: pl.Trainer, module: Staged, batch: Any) -> Check:
    """Tell whether the same steps give the same weights, to the bit.

    Args:
        trainer: Of a fit that is in a stage.
        module: Of the run.
        batch: Of that stage.
    """
    name, expected = "repeats", "the same weights after the same steps, to the bit"
    found = []
    for _ in range(2):
        with _trained(trainer, _lightning(module), [first_part(batch, FIRST_BATCH)] * 3) as losses:
            list(losses)
            found.append(weights_sha256(_lightning(module)))
    if found[0] == found[1]:
        return passed(name, f"{found[0][:12]} twice", expected)
    advice = (
        "draw from generators of the step's key, or from the global ones inside of training_step; set deterministic"
    )
    return warned(name, f"{found[0][:12]} and {found[1][:12]}", expected, advice)


def check_learns(
    trainer: pl.Trainer, module: Staged, data: ImageDataModule, *, steps: int, factor: float, fresh: bool, sure: bool
) -> list[Check]:
    """Tell whether a few steps teach something of images that are held out, and nothing where labels are shuffled.

    Learnt is what has more of them right than the most frequent class has, or, with several labels an image, a lower
    loss than the classes' shares have; neither of which looks at an image. Where nothing is, a tenth of the rate is
    tried, which a warm-up may make up for, and then a hundredth.

    Args:
        trainer: Of a fit that is in its last stage.
        module: Of the run; one that gives probabilities.
        data: That of the trainer.
        steps: Of each training.
        factor: Of the recipe's rate.
        fresh: Whether the network begins from nothing, which may need more images and steps than these.
        sure: Whether the features are known to tell the classes apart, so that nothing learnt is a fault.

    Returns:
        ``learns`` and ``shuffled_labels``; ``learning_rate`` in the place of the first where a lower one learns.
    """
    held_out = list(data.rehearsal_dataloaders(1, held_out=HELD_OUT)[1])
    labels = torch.as_tensor(data.opened.splits.train.labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    shares = _shares(labels, _lightning(module))
    blind = torch.cat([_scores(module, shares.expand(batch_length(batch), -1), batch[1]) for batch in held_out])
    known = f"than the {'loss of the shares' if data.several_labels else 'share of the most frequent class'}"

    def gain(given: Tensor | None = None, slower: float = 1.0, times: int = 1) -> _Gain:
        scores = _held_out_scores(trainer, module, held_out, given, times * steps, factor / slower)
        what = "loss" if data.several_labels else "accuracy"
        return _Gain(*paired_difference((scores - blind).numpy()), times * steps, what)

    found, mixed = gain(), gain(labels[order])
    if not found.shown and fresh:  # which takes more steps, and the highest rate of a schedule only once it is warm
        found = gain(slower=NEAR, times=LONGER)
    name, expected = "shuffled_labels", f"less than {AS_MUCH:g} of what true labels teach ({found.said})"
    advice = "look for labels that reach the network by another way than the batch's"
    # Not none: of few classes, shuffled labels agree with the true ones by chance, and all images of a class with them.
    leaks = mixed.shown and found.shown and mixed.mean > AS_MUCH * found.mean
    shuffled = failed(name, mixed.said, expected, advice) if leaks else passed(name, mixed.said, expected)
    name, expected = "learns", f"better {known}, on {len(blind)} validation images"
    if found.shown:
        return [passed(name, found.said, expected), shuffled]
    for slower, verdict_of in ((NEAR, warned), (FAR_OFF, failed)):
        if (slow := gain(slower=slower)).shown:
            lr = factor * module.base_lr
            what, advice = f"{found.said} at {lr:g}, {slow.said} at {lr / slower:g}", f"try one near {lr / slower:g}"
            return [verdict_of("learning_rate", what, expected, f"{advice}; lr-find says more"), shuffled]
    if fresh:
        return [passed(name, f"not shown: {found.said}", f"{expected}; a fresh network may need more"), shuffled]
    advice = "look whether labels and images are paired in training (figures/batch.png); or give it more --steps"
    return [(failed if sure else warned)(name, found.said, expected, advice), shuffled]


@dataclass(frozen=True)
class _Gain:
    """By how much something is better, with half of its 95 % interval."""

    mean: float
    half: float
    steps: int
    of: str

    @property
    def shown(self) -> bool:
        return self.mean - self.half > 0

    @property
    def said(self) -> str:
        if self.of == "accuracy":
            return f"{100 * self.mean:+.1f} ± {100 * self.half:.1f} points of accuracy after {self.steps} steps"
        way = "lower" if self.mean > 0 else "higher"
        return f"a loss {way} by {abs(self.mean):.3g} ± {self.half:.2g} after {self.steps} steps"


def _shares(labels: Tensor, module: GivesProbabilities) -> Tensor:
    """Share of each class among the images, (1, C), none of them quite 0 or 1."""
    several = labels.ndim == 2
    counts = labels.sum(dim=0) if several else torch.bincount(labels, minlength=module.num_classes)
    return ((counts + 0.5) / (len(labels) + (1 if several else 0.5 * module.num_classes)))[None].float()


def _scores(module: Any, probabilities: Tensor, labels: Tensor) -> Tensor:
    """Whether each image is right; of several labels its loss with a minus."""
    task = module.task
    scores: Tensor = (
        -task.losses_of(probabilities, labels) if task.several_labels else task.right(probabilities, labels)
    )
    return scores.double()


def _held_out_scores(
    trainer: pl.Trainer,
    module: Any,
    held_out: Sequence[Any],
    labels: Tensor | None,
    steps: int,
    factor: float,
) -> Tensor:
    """Score of each held-out image after a training, on labels other than the batches' where they are given."""
    batches: Iterator[Any] = islice(_endless(trainer), steps)
    if labels is not None:
        batches = (batch._replace(labels=labels[batch.indices].to(batch.labels)) for batch in batches)
    with _trained(trainer, module, batches, factor=factor) as losses:
        list(losses)
        module.eval()
        try:
            with torch.no_grad():
                return torch.cat([_score(trainer, module, batch) for batch in held_out])
        finally:
            module.train()


def _score(trainer: pl.Trainer, module: Any, batch: Any) -> Tensor:
    batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
    with trainer.precision_plugin.forward_context():
        probabilities = module.task.probabilities(module.logits_of(batch))
    return _scores(module, probabilities.cpu(), batch[1].cpu())


def _endless(trainer: pl.Trainer) -> Iterator[Any]:
    while True:
        for batch in trainer.train_dataloader or []:
            yield first_part(batch, 2 * FIRST_BATCH)


def _lightning(module: Staged) -> Any:
    """The same object, as Lightning knows it."""
    return module
