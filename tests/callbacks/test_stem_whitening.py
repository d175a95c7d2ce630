"""A stem that is set by the images, once."""

from pathlib import Path
from typing import Any

import pytest
import torch

import lightning_recipes as lr
from lightning_recipes.errors import UserError
from tests.small import KeepEvery, digits, fit


def small(**options: Any) -> lr.ImageClassifier:
    torch.manual_seed(1)
    widths = {"widths": (8, 8, 8)}
    return lr.ImageClassifier("airbench94", 10, pretrained=False, backbone_kwargs=widths, **options)


def stem_of(model: lr.ImageClassifier) -> torch.Tensor:
    weight: torch.Tensor = model.backbone.stem.weight  # type: ignore[union-attr, assignment]
    return weight.clone()


def test_the_stem_is_set_by_the_training_images_as_a_run_begins_and_stays() -> None:
    model, data = small(), digits()
    before = stem_of(model)
    fit(model, data, lr.StemWhitening(images=20), max_epochs=1)
    expected = small()
    drawn = lr.StemWhitening(images=40)
    fit(expected, digits(), drawn, max_epochs=2)
    assert not torch.equal(stem_of(model), before)
    assert not torch.equal(stem_of(model), stem_of(expected))  # of other images
    again = small()
    fit(again, digits(), lr.StemWhitening(images=20), max_epochs=2)
    assert torch.equal(stem_of(again), stem_of(model))


def test_a_run_that_goes_on_keeps_its_stem_and_ends_where_it_would_have(tmp_path: Path) -> None:
    _, whole = fit(
        small(), digits(), lr.StemWhitening(), KeepEvery(tmp_path, "x"), max_epochs=2, enable_checkpointing=True
    )
    kept = sorted(tmp_path.glob("x-*.ckpt"))[2]
    _, resumed = fit(small(), digits(), lr.StemWhitening(), max_epochs=2, ckpt_path=kept)
    assert resumed == whole


def test_what_it_cannot_be_used_with_is_said() -> None:
    with pytest.raises(UserError, match=r"^StemWhitening: .* has no stem that can be set"):
        fit(lr.ImageClassifier("test_resnet", 10, pretrained=False), digits(), lr.StemWhitening(), max_epochs=1)
    with pytest.raises(UserError, match=r"^StemWhitening\.images: 1 is not a whole number >= 2"):
        lr.StemWhitening(images=1)
