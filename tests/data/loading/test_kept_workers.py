"""Workers stay from epoch to epoch of a stage, end with it, and none is left when the fit is over."""

import multiprocessing

import lightning.pytorch as pl
import pytest
from typing_extensions import override

from lightning_recipes import Stage, Stages
from tests.small import classifier, digits, fit


class Workers(pl.Callback):
    """The processes that are there at the end of each epoch."""

    def __init__(self) -> None:
        self.seen: list[set[int | None]] = []

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seen.append(children())


def children() -> set[int | None]:
    return {child.pid for child in multiprocessing.active_children()}


@pytest.mark.parametrize("limit", [1.0, 2])  # also where an epoch ends before the loader does
def test_they_stay_for_a_stage_and_are_gone_after_the_fit(limit: float) -> None:
    before, workers = children(), Workers()
    stages = Stages([Stage("small", epochs=2, batch_size=5), Stage("large", epochs=2, batch_size=8)])
    data = digits(num_workers=2)
    fit(classifier(), data, stages, workers, max_epochs=-1, limit_train_batches=limit)
    first, again, other, last = (seen - before for seen in workers.seen)
    assert len(first) == 4  # two that read training images, two of validation
    assert first == again
    assert len(other) == 4
    assert other == last
    assert not first & other
    assert children() == before


def test_they_change_nothing() -> None:
    found = {fit(classifier(), digits(num_workers=workers, augment="medium"), max_epochs=3)[1] for workers in (0, 2)}
    assert len(found) == 1
