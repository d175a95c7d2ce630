"""Whether a few images are learnt by heart, at which rate, and twice in the same way.

Source: Karpathy (2019), "A Recipe for Training Neural Networks", section 2: "overfit one batch".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl

from lightning_recipes.checks.check import Check, failed, passed, warned
from lightning_recipes.checks.small_training import first_part, trained
from lightning_recipes.data.batch import batch_length
from lightning_recipes.engine.forward import logits_of, on_device
from lightning_recipes.engine.trial_steps import no_trace, rehearse_loss
from lightning_recipes.models.fingerprint import weights_sha256
from lightning_recipes.modules.protocols import GivesProbabilities, offers, require_probabilities, require_staged

__all__ = ["FIRST_BATCH", "check_one_batch", "check_repeats"]

FIRST_BATCH = 16
"""Images of a batch that is learnt by heart."""
BY_HEART = 0.5
"""Share of its first loss below which a batch without labels counts as learnt."""
FACTORS = (1.0, 0.1, 10.0, 0.01, 100.0, 0.001, 1000.0)
"""Of the recipe's rate, in the order in which they are tried."""
FAR_OFF = 100.0
"""Factor on a rate that matters."""


@dataclass(frozen=True)
class _Tried:
    """What came of one rate."""

    factor: float
    steps: int
    loss: float
    learnt: bool


def check_one_batch(
    trainer: pl.Trainer, module: pl.LightningModule, batch: Any, *, steps: int
) -> list[tuple[Check, float]]:
    """Tell whether a few images are learnt by heart, at the recipe's rate or at another one.

    Args:
        trainer: Of a fit that is in its last stage.
        module: Of the run, which trains by a plan.
        batch: Of that stage; 16 of its images are taken.
        steps: At each rate, at most.

    Returns:
        ``one_batch``, and ``learning_rate`` where some rate does it; with each the factor on the recipe's rate that
        does, or 1.
    """
    few = first_part(batch, FIRST_BATCH)
    with no_trace(trainer, module):
        first = rehearse_loss(trainer, [few], key=("check", "learning", 0))
    tried: list[_Tried] = []
    for factor in FACTORS:
        tried.append(_try(trainer, module, few, first, factor=factor, steps=steps))
        if tried[-1].learnt:
            break
    images, best = batch_length(few), tried[-1]
    expected = f"all {images} images right" if offers(module, GivesProbabilities) else "half of its loss"
    at = "" if best.factor == 1 else f" at {best.factor:g} times the recipe's rate"
    if not best.learnt:
        lowest = min(tried, key=lambda one: one.loss if math.isfinite(one.loss) else math.inf)
        what = f"not in {steps} steps, at 1/1000 to 1000 times the rate; loss {first:.3g} to {lowest.loss:.3g}"
        advice = "look at the labels (figures/batch.png), at what is frozen, and at the loss; or give it more --steps"
        return [(failed("one_batch", what, expected, advice), 1.0)]
    measured = f"loss {first:.3g} to {best.loss:.3g} in {best.steps} steps{at}"
    checks = passed("one_batch", measured, expected), _of_rate(tried, first, require_staged(module, "check").base_lr)
    return [(check, best.factor) for check in checks]


def _try(
    trainer: pl.Trainer, module: pl.LightningModule, few: Any, first: float, *, factor: float, steps: int
) -> _Tried:
    """Train on a batch until it is known by heart, or the loss is lost."""
    loss, learnt, done = first, False, 0
    with trained(trainer, module, (few for _ in range(steps)), factor=factor) as taken:
        for step in taken:
            done, loss = step + 1, rehearse_loss(trainer, [few], key=("check", "learning", step))
            if not math.isfinite(loss):
                break
            if loss < BY_HEART * first and _by_heart(trainer, module, few):
                learnt = True
                break
    return _Tried(factor, done, loss, learnt)


def _by_heart(trainer: pl.Trainer, module: pl.LightningModule, few: Any) -> bool:
    """Whether all images are right; without labels, half of the loss is enough."""
    if not offers(module, GivesProbabilities):
        return True
    own = require_probabilities(module, "check")
    batch = on_device(trainer, few)
    logits = logits_of(trainer, own, batch)  # in training mode: statistics of the norm layers take longer
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


def check_repeats(trainer: pl.Trainer, module: pl.LightningModule, batch: Any) -> Check:
    """Tell whether the same steps give the same weights, to the bit.

    Args:
        trainer: Of a fit that is in a stage.
        module: Of the run, which trains by a plan.
        batch: Of that stage.
    """
    name, expected = "repeats", "the same weights after the same steps, to the bit"
    found = []
    for _ in range(2):
        with trained(trainer, module, [first_part(batch, FIRST_BATCH)] * 3) as taken:
            list(taken)
            found.append(weights_sha256(module))
    if found[0] == found[1]:
        return passed(name, f"{found[0][:12]} twice", expected)
    advice = (
        "draw from generators of the step's key, or from the global ones inside of training_step; set deterministic"
    )
    return warned(name, f"{found[0][:12]} and {found[1][:12]}", expected, advice)
