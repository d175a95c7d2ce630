"""What a step draws is a function of the step, whichever hooks and methods a subclass has of its own."""

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes import ImageClassifier, Mixing
from lightning_recipes.data.batch import MixedBatch
from tests.small import QUIET, classifier, digits, fit


class Noted(ImageClassifier):
    """Notes each step's first draw, and the share of each mixed batch."""

    seen: list[tuple[float, float]]

    @override
    def logits_of(self, batch: Any) -> Tensor:
        if self.training:
            self.seen.append((float(torch.rand(1)), batch.share if isinstance(batch, MixedBatch) else 1.0))
        return super().logits_of(batch)


class OwnHook(Noted):
    """Draws in a hook of its own, and leaves the parent's out."""

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.rand(3 + batch_idx)


class OwnStep(Noted):
    """A training step around the parent's."""

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * 1


class SeedOfItsOwn(Noted):
    """Somebody who seeds all steps alike."""

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(0)


def seen_by(kind: type[Noted]) -> list[tuple[float, float]]:
    torch.manual_seed(1)
    model = kind("test_resnet", num_classes=10, pretrained=False)
    model.seen = []
    fit(model, digits(), Mixing(mixup_alpha=0.4), max_epochs=2, limit_val_batches=0)
    return model.seen


def test_a_subclass_with_hooks_and_steps_of_its_own_draws_what_any_other_draws() -> None:
    expected = seen_by(Noted)
    draws, shares = zip(*expected, strict=True)
    assert len(set(draws)) == len(set(shares)) == 8  # four steps in each of two epochs, each with its own
    for kind in (OwnHook, OwnStep, SeedOfItsOwn):
        assert seen_by(kind) == expected, kind.__name__


def test_a_training_step_without_a_parent_is_keyed_too() -> None:
    class Alone(ImageClassifier):
        draws: list[float]

        @override
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.draws.append(float(torch.rand(1)))
            return self.compute_loss(self(batch[0]), batch[1])

    torch.manual_seed(1)
    model = Alone("test_resnet", num_classes=10, pretrained=False)
    model.draws = []
    fit(model, digits(), max_epochs=2, limit_val_batches=0)
    assert model.draws == [draw for draw, _ in seen_by(Noted)]


def test_each_process_has_draws_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = classifier()
    module.trainer = pl.Trainer(**QUIET)
    keys = []
    for rank in (0, 1):
        monkeypatch.setattr(type(module), "global_rank", rank)
        keys.append(module.step_key(0))
    assert keys[0] != keys[1]
