"""What a few steps teach the network of images that it has not seen.

Source: Karpathy (2019), "A Recipe for Training Neural Networks", section 2: "input-independent baseline".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from lightning_recipes.checks.check import Check, failed, passed, warned
from lightning_recipes.checks.small_training import first_part, trained
from lightning_recipes.data.batch import batch_length
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.forward import in_eval_mode, logits_of, on_device
from lightning_recipes.evaluation.intervals import paired_difference
from lightning_recipes.modules.protocols import GivesProbabilities, require_probabilities, require_staged

__all__ = ["check_learns"]

NEAR, FAR_OFF = 10.0, 100.0
"""Factors on a rate that a warm-up makes up for, and that nothing does."""
LONGER = 4
"""Times as many steps for features that are not known to tell the classes apart, such as fresh ones."""
AS_MUCH = 0.75
"""Share of what true labels teach that shuffled ones teach only where labels leak."""
HELD_OUT = 128
"""Validation images that what was learnt is tried on."""
SMALL_BATCH = 32
"""Images of a step, at most."""


def check_learns(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    data: ImageDataModule,
    *,
    steps: int,
    factor: float,
    fresh: bool,
    sure: bool,
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
    shares = _shares(labels, require_probabilities(module, "check"))
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
            lr = factor * require_staged(module, "check").base_lr
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
    with trained(trainer, module, batches, factor=factor) as taken:
        list(taken)
        with in_eval_mode(module):
            return torch.cat([_score(trainer, module, batch) for batch in held_out])


def _score(trainer: pl.Trainer, module: Any, batch: Any) -> Tensor:
    batch = on_device(trainer, batch)
    probabilities = module.task.probabilities(logits_of(trainer, module, batch))
    return _scores(module, probabilities.cpu(), batch[1].cpu())


def _endless(trainer: pl.Trainer) -> Iterator[Any]:
    while True:
        for batch in trainer.train_dataloader or []:
            yield first_part(batch, SMALL_BATCH)
