"""Values of data keys with which no run can work."""

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from typing_extensions import override

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Stage
from tests.small import classifier, digits, fit


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"image_size": 3}, r"^data\.image_size: 3 is not a whole number >= 8$"),
        ({"image_size": 32.5}, r"^data\.image_size: 32\.5 is not a whole number"),
        ({"val_fraction": 0}, r"^data\.val_fraction: 0 is not a share between 0 and 1"),
        ({"val_fraction": 20}, r"^data\.val_fraction: 20 is not a share between 0 and 1"),
        ({"val_fraction": float("nan")}, r"^data\.val_fraction: nan is not a share"),
        ({"split_seed": -1}, r"^data\.split_seed: -1 is not a whole number >= 0"),
        ({"split_seed": 0.5}, r"^data\.split_seed: 0\.5 is not a whole number >= 0"),
        ({"images_per_class": 0}, r"^data\.images_per_class: 0 is not a whole number >= 1"),
        ({"std": [0.2, 0.0, 0.2]}, r"^data\.std: .* three numbers > 0"),
        ({"mean": [0.2, float("nan"), 0.2]}, r"^data\.mean: .* three numbers"),
    ],
)
def test_values_that_cannot_work_are_refused_before_any_image_is_read(options: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        ImageDataModule("nowhere", **options)  # type: ignore[arg-type]


def test_a_stage_cannot_be_of_images_without_content_either() -> None:
    with pytest.raises(UserError, match=r"^stage 'all', image_size: 3 is not a number >= 8$"):
        Stage("all", epochs=1, image_size=3)


def test_a_stage_that_differs_in_its_augmentation_alone_has_images_of_its_own() -> None:
    plain: dict[int, list[bool]] = {0: [], 1: []}

    class Look(pl.Callback):
        @override
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
            data: ImageDataModule = trainer.datamodule  # type: ignore[attr-defined]
            images = data.evaluation_images("train", batch.indices.tolist(), data.input_config)
            plain[trainer.current_epoch].append(torch.allclose(images, batch.images))

    stages = [Stage("plain", epochs=1, augment="none"), Stage("varied", epochs=1, augment="medium")]
    fit(classifier(), digits(), Stages(stages), Look(), max_epochs=-1)
    assert all(plain[0])
    assert not any(plain[1])


def test_training_images_that_are_judged_are_not_augmented() -> None:
    data = digits(augment="medium")
    some = list(range(12))
    batch = next(iter(data.evaluation_loader("train", data.input_config, some)))
    assert torch.equal(batch.images, data.evaluation_images("train", batch.indices.tolist(), data.input_config))


def test_a_task_is_one_that_labels_are_read_by() -> None:
    with pytest.raises(UserError, match=r"data\.task: multilable is not one of multiclass, multilabel"):
        digits(task="multilable")


def test_data_and_model_of_different_tasks_are_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"data\.task: images have one label each, and model\.task is multilabel"):
        fit(classifier(task="multilabel"), digits(), max_epochs=1)
