"""Whole sets on a GPU: the views that a CPU draws, no step that waits for them, and a resume to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_recipes.data.loading.device_images import DeviceImages
from lightning_recipes.data.loading.train_sampler import Key
from tests.gpu.test_precision import NoWaiting
from tests.small import GPU, KeepEvery, classifier, digits, fit, two_stages

POLICIES: list[Any] = [
    {"name": "light", "crop": "padded", "flip": "alternate"},
    "medium",
    "strong",
    {"name": "light", "time_mask": 0.2, "frequency_mask": 0.2},
]


@pytest.mark.parametrize("augment", POLICIES)
def test_views_are_those_of_a_cpu(augment: Any) -> None:
    here: Any = digits(cache="device", augment=augment).train_dataloader().dataset
    there = DeviceImages(here.pixels.cuda(), here.images, here.policy)
    keys = [Key(1, index) for index in range(40)]
    expected, found = here.__getitems__(keys), there.__getitems__(keys)
    assert torch.equal(found.indices.cpu(), expected.indices)
    assert torch.equal(found.labels.cpu(), expected.labels)
    difference = (found.images.cpu().int() - expected.images.int()).abs()
    assert int(difference.max()) <= 1  # what is rounded may fall the other way


@pytest.mark.parametrize("augment", POLICIES)
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_step_waits_for_them(augment: Any) -> None:
    try:
        data = digits(cache="device", augment=augment, batch_size=5)
        fit(classifier(), data, NoWaiting(), max_epochs=1, log_every_n_steps=1, **GPU)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_from_any_step_the_weights_are_those_of_the_whole_run(tmp_path: Path) -> None:
    def run(name: str, ckpt_path: Path | None = None) -> str:
        _, sha = fit(
            classifier(), digits(cache="device", augment="strong"), two_stages(), KeepEvery(tmp_path, name),
            max_epochs=-1, ckpt_path=ckpt_path, enable_checkpointing=True, default_root_dir=str(tmp_path / name), **GPU,
        )  # fmt: skip
        return sha

    whole = run("whole")
    for path in sorted(tmp_path.glob("whole-*.ckpt"))[1:-1:3]:
        assert run("again", path) == whole, path.stem
