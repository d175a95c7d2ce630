"""Negatives of all processes: two gloo processes learn what one learns from batches twice as large."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_recipes.modules.pretraining.simclr import SimCLR
from tests.engine.test_ddp import TWO, KeepWeights, load
from tests.modules.pretraining.pretrained import images, module, pretrain

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")


class WithoutNorm(SimCLR):
    """A projection without batch-norm, whose statistics would be those of a process's own images."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.projection = nn.Linear(num_features, 16)


def train(folder: Path, batch_size: int, **options: Any) -> None:
    folder.mkdir()
    # A transformer, for the same reason.
    network = module(
        f"{__name__}.WithoutNorm",
        backbone="test_vit",
        image_size=48,
        lr=0.05,
        optimizer={"name": "sgd", "momentum": 0.9},
    )
    data = images(image_size=48, batch_size=batch_size, augment="light", val_fraction=0.0198)  # an odd number of them
    pretrain(network, data, folder, KeepWeights(folder), epochs=1, limit_train_batches=3, **options)


def test_two_processes_learn_as_one_of_twice_the_batch(tmp_path: Path) -> None:
    train(tmp_path / "two", 16, **TWO)
    train(tmp_path / "one", 32)
    first, second = (load(tmp_path / "two", f"epoch0-rank{rank}") for rank in (0, 1))
    single = load(tmp_path / "one", "epoch0-rank0")
    for name in single:
        assert torch.equal(first[name], second[name]), f"ranks differ in {name}"
        if not name.startswith("head."):  # a fit of its own, which a last bit of the features turns
            torch.testing.assert_close(first[name], single[name], rtol=1e-3, atol=1e-5)
    two, one = (load(tmp_path / run, "metrics0-rank0") for run in ("two", "one"))
    for name in ("train_pretext_loss", "val_accuracy", "val_knn_accuracy", "val_loss"):
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-3)
