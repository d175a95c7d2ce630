"""Whole sets kept where the network computes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.loading import device_images
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Stage
from tests.small import classifier, digits, fit


def test_images_are_those_of_the_files_to_the_bit() -> None:
    kept, read = digits(cache="device", augment="none"), digits(augment="none")
    for one, other in zip(kept.train_dataloader(), read.train_dataloader(), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.indices, other.indices)


def test_a_view_depends_on_epoch_index_and_repeat_and_on_nothing_else() -> None:
    data = digits(cache="device", augment="medium")
    dataset: Any = data.train_dataloader().dataset
    batch = dataset.__getitems__([Key(1, 7), Key(1, 3), Key(1, 3, 1)])
    assert torch.equal(dataset.__getitems__([Key(1, 3)]).images[0], batch.images[1])
    assert not torch.equal(batch.images[1], batch.images[2])
    assert not torch.equal(dataset.__getitems__([Key(2, 3)]).images[0], batch.images[1])
    assert not torch.equal(dataset.__getitems__([Key(1, 3, purpose=("rehearsal", 0))]).images[0], batch.images[1])


def test_alternate_flips_mirror_each_image_in_every_other_epoch() -> None:
    policy = {"name": "light", "crop": "centre", "cutout": 0.0, "flip": "alternate"}
    dataset: Any = digits(cache="device", augment=policy).train_dataloader().dataset
    epochs = [dataset.__getitems__([Key(epoch, index) for index in range(40)]).images for epoch in range(4)]
    assert torch.equal(epochs[0], epochs[2])
    assert torch.equal(epochs[1], epochs[3])
    assert torch.equal(epochs[0].flip(3), epochs[1])
    mirrored = (epochs[0] != dataset.pixels).flatten(1).any(dim=1).sum()
    assert 8 <= int(mirrored) <= 32
    with pytest.raises(UserError, match=r"^data\.augment\.flip: alternate is drawn with data\.cache: device alone"):
        digits(augment=policy).train_dataloader()


def test_validation_is_that_of_the_files() -> None:
    options = {"augment": "none", "batch_size": 8}
    scores = []
    for cache in (None, "device"):
        model = classifier()
        trainer, weights = fit(model, digits(cache=cache, **options), max_epochs=2)
        scores.append((weights, trainer.callback_metrics["val_loss"].item()))
    assert scores[0] == scores[1]


def test_stages_of_other_sizes_have_images_of_their_own() -> None:
    sizes: list[tuple[int, ...]] = []

    class Sizes(Stages):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *_: Any) -> None:
            sizes.append(tuple(batch.images.shape[1:]))

    stages = [Stage("small", epochs=1, image_size=16), Stage("large", epochs=1, image_size=24, augment="strong")]
    fit(classifier(), digits(cache="device"), Sizes(stages), max_epochs=-1)
    assert sizes == [(3, 16, 16)] * 4 + [(3, 24, 24)] * 4


def test_what_there_is_no_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_images, "free_memory", lambda device: 100_000)
    with pytest.raises(UserError, match=r"^data\.cache: device needs 123 kB for 40 images, and cpu has 100 kB free"):
        digits(cache="device").train_dataloader()


@pytest.mark.parametrize("augment", ["randaugment", [{"HorizontalFlip": {}}]])
def test_what_is_not_drawn_in_batches_is_refused_before_anything_is_read(augment: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.cache: device d"):
        fit(classifier(), digits(cache="device", augment=augment), max_epochs=1)
