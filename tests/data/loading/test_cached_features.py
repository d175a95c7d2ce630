"""Features that are computed once: of images as they are, of augmented views, in memory and on disk."""

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.loading import cached_features
from lightning_recipes.data.loading.cached_features import Extract, compute_features
from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Stage
from tests.small import classifier, digits, fit


def head_after(*, augment: str = "medium", balance: bool = False, epochs: int = 3, **stage: Any) -> torch.Tensor:
    """The weights of a head that was trained alone, by SGD, whose steps keep differences as small as they are."""
    model = classifier(backbone_kwargs={}, optimizer={"name": "sgd", "momentum": 0.9}, freeze_norm_stats=True)
    head = Stages([Stage("head", epochs=epochs, train="head", lr=0.05, **stage)])
    fit(model, digits(augment=augment, balance=balance), head, max_epochs=-1)
    return torch.cat([p.detach().flatten() for p in model.head.parameters()])


@pytest.mark.parametrize("balance", [False, True])
def test_as_many_views_as_epochs_are_what_augmentation_would_have_drawn(balance: bool) -> None:
    """Also in the order of balanced classes, which repeats no image where all are of one size."""
    kept: dict[str, Any] = {"balance": balance, "cache_features": True}
    images = head_after(balance=balance)
    torch.testing.assert_close(head_after(**kept, feature_views=3), images, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(head_after(**kept, feature_views=1), images, rtol=1e-3, atol=1e-5)


def two_views(extract: Extract) -> tuple[ImageDataset, FeatureDataset]:
    """Augmented digits, and what a backbone gave for two views of each."""
    images = digits(augment="medium")
    images.setup("fit")
    drawn = images.train_dataloader().dataset
    assert isinstance(drawn, ImageDataset)
    return drawn, compute_features(drawn, extract, batch_size=16, num_workers=0, views=2)


def test_views_begin_anew_when_all_had_their_turn() -> None:
    drawn, kept = two_views(lambda batch: batch.flatten(1))
    for epoch, view in ((0, 0), (1, 1), (2, 0), (5, 1)):
        assert torch.equal(kept[Key(epoch, 7)].features, drawn[Key(view, 7)].images.flatten())
    assert torch.equal(kept[Key(0, 7, repeat=1)].features, drawn[Key(1, 7)].images.flatten())  # twice in an epoch


def test_features_that_a_head_pools_keep_their_shape() -> None:
    drawn, kept = two_views(lambda batch: batch.flatten(2))
    assert torch.equal(kept[Key(1, 7)].features, drawn[Key(1, 7)].images.flatten(1))


def test_validation_sees_images_as_they_are() -> None:
    found = {}
    for augment in ("none", "medium"):
        images = digits(augment=augment)
        views = None if augment == "none" else 2
        head = Stages([Stage("head", epochs=2, train="head", cache_features=True, feature_views=views)])
        fit(classifier(), images, head, max_epochs=-1)
        found[augment] = next(iter(images.val_dataloader()))
    assert torch.equal(found["none"].features, found["medium"].features)


def test_views_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(UserError, match="feature_views: augment is none, so all views are the same"):
        head_after(augment="none", cache_features=True, feature_views=2)


def test_features_that_memory_has_no_room_for_lie_in_a_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    in_memory = head_after(cache_features=True, feature_views=2)
    monkeypatch.setattr(cached_features, "free_memory", lambda device: 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with caplog.at_level(logging.INFO, "lightning_recipes"):
        on_disk = head_after(cache_features=True, feature_views=2)
    assert torch.equal(in_memory, on_disk)
    assert f"in {tmp_path}; memory has no room" in caplog.text
    assert not list(tmp_path.iterdir())


def test_features_that_have_no_room_at_all_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached_features, "free_memory", lambda device: 1000)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"cache_features: features take \d+ kB, for which neither memory nor"):
        head_after(cache_features=True)
