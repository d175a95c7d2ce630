"""Stages whose length is given in steps."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import TensorDataset

from lightning_recipes import Stage, Stages, UserError
from tests.small import KeepEvery, classifier, digits, fit


def train(length: dict[str, Any], *more: Any, ckpt_path: Path | None = None, **options: Any) -> tuple[int, int, str]:
    """Return epochs, steps and fingerprint of a training of four batches an epoch."""
    stages = [
        Stage("head", epochs=1, train="head", lr=0.01),
        Stage("all", lr=3e-3, batch_size=20, schedule="one_cycle", **length),
    ]
    settings = {"max_epochs": -1, "enable_checkpointing": True, "ckpt_path": ckpt_path, **options}
    trainer, sha = fit(classifier(), digits(), Stages(stages), *more, **settings)
    return trainer.current_epoch, trainer.global_step, sha


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (5, 2), (6, 3), (7, 4)])
def test_steps_are_the_nearest_number_of_epochs_of_that_stages_batches(steps: int, epochs: int) -> None:
    assert train({"steps": steps}) == train({"epochs": epochs})


@pytest.mark.parametrize(("epochs", "steps", "ends_after"), [(2, 5, 2), (1, 5, 1), (3, 5, 2), (20, 8, 4)])
def test_of_epochs_and_steps_the_shorter_counts(epochs: int, steps: int, ends_after: int) -> None:
    assert train({"epochs": epochs, "steps": steps})[0] == 1 + ends_after


def test_batches_that_make_a_step_count_as_one() -> None:
    assert train({"steps": 3}, accumulate_grad_batches=2)[:2] == (1 + 3, 2 + 3)


def test_a_run_that_goes_on_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole = train({"steps": 6}, KeepEvery(tmp_path, "step"))
    for step in ("02", "07"):
        assert train({"steps": 6}, ckpt_path=tmp_path / f"step-{step}.ckpt") == whole


def test_a_data_module_of_ones_own_does_not_say_how_many_there_are() -> None:
    images = TensorDataset(torch.randn(8, 3, 32, 32), torch.arange(8))
    data = pl.LightningDataModule.from_datasets(images, images, batch_size=4)
    with pytest.raises(UserError, match="stage 'all', steps: needs an ImageDataModule, which this run does not have"):
        fit(classifier(), data, Stages([Stage("all", steps=4)]), max_epochs=-1)
