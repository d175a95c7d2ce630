"""What a fit is judged by at its end are the images and weights of its validations, whatever a subclass adds."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes import BestCheckpoint, LastCheckpoint, RunSummary, Stage, Stages
from lightning_recipes.engine.predictions import judged
from tests.judging import ALL, GOOD, HEAD, reporting, summary, train
from tests.small import QUIET, classifier, digits, fit


class AugmentsOnTheDevice(lr.ImageClassifier):
    """As Kornia's users do it: in the hook after the transfer, while it trains."""

    BY_TRAINER = True

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        trains = self.trainer.training if self.BY_TRAINER else self.training
        return (batch[0].flip(-1) * 0.5, *batch[1:]) if trains else batch


@pytest.mark.filterwarnings("ignore:You have overridden `on_after_batch_transfer`")
@pytest.mark.parametrize("by_trainer", [True, False])
def test_images_that_a_module_augments_while_it_trains_are_judged_as_they_are(by_trainer: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = AugmentsOnTheDevice("test_resnet", 10, **GOOD)
    model.BY_TRAINER = by_trainer
    train(tmp_path, [Stage("all", epochs=2, lr=3e-3)], model=model)
    data, best = digits(val_fraction=0.1), lr.load(tmp_path / "checkpoints" / "best.ckpt")
    (says,) = pl.Trainer(**QUIET).validate(best, datamodule=data, verbose=False)
    assert summary(tmp_path)["val_loss"] == pytest.approx(says["val_loss"], rel=1e-6)


def test_a_run_without_stages_that_goes_on_is_judged_at_the_size_of_its_data(tmp_path: Path) -> None:
    options: dict[str, Any] = {"default_root_dir": str(tmp_path), "enable_checkpointing": True}
    fit(classifier(), digits(mean=[0.1] * 3), *reporting(tmp_path), max_epochs=1, **options)
    path, model = tmp_path / "checkpoints" / "last.ckpt", classifier()
    fit(model, digits(mean=[0.1] * 3), *reporting(tmp_path), max_epochs=2, ckpt_path=path, **options)
    assert model.judged_input is not None
    assert (model.judged_input.image_size, model.judged_input.mean) == (32, (0.1, 0.1, 0.1))
    assert summary(tmp_path)["val_loss"] == pytest.approx(_said(tmp_path)["val_loss"], rel=1e-5)


class FirstFifty(lr.ImageDataModule):
    """Validates on images of its own choice."""

    @override
    def val_dataloader(self) -> DataLoader[Any]:
        whole = super().val_dataloader()
        return DataLoader(Subset(whole.dataset, range(50)), batch_size=10)


def test_a_validation_loader_of_ones_own_is_what_is_judged_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "val_fraction": 0.1,
        "images_per_class": 4,
        "image_size": 32,
        "batch_size": 10,
        "num_workers": 0,
    }
    data = FirstFifty("sklearn:digits", **options)
    train(tmp_path, [HEAD], data=data)
    assert summary(tmp_path)["val_loss"] == pytest.approx(_said(tmp_path)["val_loss"], rel=1e-6)
    assert len((tmp_path / "val_predictions.csv").read_text().splitlines()) == 51


def test_a_limit_of_batches_judges_the_images_that_were_validated(tmp_path: Path) -> None:
    stage = Stage("all", epochs=1, lr=3e-3, batch_size=20)
    train(tmp_path, [stage], limit_val_batches=2, data=digits(val_fraction=0.1))
    assert len((tmp_path / "val_predictions.csv").read_text().splitlines()) == 21
    assert summary(tmp_path)["val_loss"] == pytest.approx(_said(tmp_path)["val_loss"], rel=1e-6)


def _said(folder: Path) -> dict[str, float]:
    """What the validation that earned the score has logged."""
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    return dict(best["metrics"])


def test_a_trainer_that_fits_another_module_judges_that_one(tmp_path: Path) -> None:
    trainer = pl.Trainer(**QUIET, max_epochs=1)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = lr.ImageClassifier("test_resnet", 10, **GOOD)
        trainer.fit(model, datamodule=digits())
        found.append(judged(trainer, model))
    assert found[0][0] is not found[1][0]
    assert found[0][1].loss != found[1][1].loss  # type: ignore[union-attr]


def test_what_a_step_leaves_on_the_module_does_not_stop_the_end_of_a_fit(tmp_path: Path) -> None:
    class Keeps(lr.ImageClassifier):
        @override
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.last = self(batch[0])
            loss: Tensor = self.loss(self.last, batch[1])
            return loss

    model = Keeps("test_resnet", 10, **GOOD)
    train(tmp_path, [HEAD], model=model)
    assert summary(tmp_path)["finished"]


def test_a_monitor_of_any_name_is_known_again_by_a_run_that_goes_on(tmp_path: Path) -> None:
    class Named(lr.ImageClassifier):
        @override
        def on_validation_epoch_end(self) -> None:
            self.log("quality", 1.0 / (1 + self.current_epoch))  # the first epoch is the best

    options: dict[str, Any] = {"default_root_dir": str(tmp_path), "enable_checkpointing": True}
    callbacks = [RunSummary(str(tmp_path), "recipe"), BestCheckpoint("quality"), LastCheckpoint()]
    fit(Named("test_resnet", 10, **GOOD), digits(), *callbacks, max_epochs=1, **options)
    callbacks = [RunSummary(str(tmp_path), "recipe"), BestCheckpoint("quality"), LastCheckpoint()]
    path = tmp_path / "checkpoints" / "last.ckpt"
    fit(Named("test_resnet", 10, **GOOD), digits(), *callbacks, max_epochs=2, ckpt_path=path, **options)
    assert summary(tmp_path)["best_epoch"] == 0


def test_a_checkpoint_before_a_validation_inside_an_epoch_waits_until_after_it(tmp_path: Path) -> None:
    """A run that went on from there would leave the validation out."""

    class Saved(LastCheckpoint):
        @override
        def save(self, trainer: pl.Trainer) -> None:
            saved.append(trainer.global_step)

    saved: list[int] = []
    callbacks = [Stages([HEAD, ALL]), Saved(every_n_train_steps=2)]
    fit(classifier(), digits(), *callbacks, max_epochs=-1, val_check_interval=2, enable_checkpointing=True)
    assert saved == [3, 4, 7, 8, 11, 12]
