"""Values of data keys with which no run can work."""

from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
from typing_extensions import override

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
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


class Seen(pl.Callback):
    """The images that the module's steps are given, and the kind of batch that they come in."""

    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []
        self.kinds: set[str] = set()

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        self.images.append(batch[0].clone())
        self.kinds.add(type(batch).__name__)


class Own(ImageClassifier):
    """Looks at batches before they are moved, as for augmentation on the CPU."""

    dtypes: ClassVar[set[torch.dtype]] = set()

    @override
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.dtypes.add(batch[0].dtype)
        return batch


def test_images_are_normalised_behind_the_loader_and_nobody_can_tell() -> None:
    options: dict[str, Any] = {"augment": "medium", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    data, seen = digits(**options), Seen()
    fit(classifier(), data, seen, max_epochs=1)
    by_hand = [batch.images for batch in digits(**options).train_dataloader()]  # outside any run
    assert seen.kinds == {"Batch"}
    assert len(seen.images) == len(by_hand)
    assert all(torch.equal(one, other) for one, other in zip(seen.images, by_hand, strict=True))
    assert all(batch.images.dtype == torch.float32 for batch in data.val_dataloader())  # behind the run, too


def test_images_are_of_the_numbers_that_the_run_computes_with() -> None:
    seen = Seen()
    fit(classifier(), digits(), seen, max_epochs=1, precision="64-true")
    assert {images.dtype for images in seen.images} == {torch.float64}


def test_a_hook_before_the_transfer_has_normalised_images() -> None:
    Own.dtypes.clear()
    seen, half = Seen(), [0.5, 0.5, 0.5]
    with pytest.warns(UserWarning, match="It will use the implementation from `LightningModule`"):
        fit(Own("test_resnet", 10, pretrained=False), digits(mean=half, std=half), seen, max_epochs=1)
    assert Own.dtypes == {torch.float32}
    assert torch.equal(seen.images[0], next(iter(digits(mean=half, std=half).train_dataloader())).images)


class Fails(ImageClassifier):
    @override
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        raise RuntimeError("no more")


def test_loaders_behind_a_run_that_failed_normalise_by_themselves() -> None:
    data = digits()
    with pytest.raises(RuntimeError, match="no more"):
        fit(Fails("test_resnet", 10, pretrained=False), data, max_epochs=1)
    assert next(iter(data.train_dataloader())).images.dtype == torch.float32
    assert next(iter(data.val_dataloader())).images.dtype == torch.float32


def test_a_batch_is_moved_without_a_run() -> None:
    data = digits()
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(data.transfer_batch_to_device(batch, torch.device("cpu"), 0).images, batch.images)


def test_samples_can_be_collated_by_a_loader_of_ones_own() -> None:
    data = digits()
    loader = data.val_dataloader()
    own = torch.utils.data.DataLoader(loader.dataset, batch_size=7)
    images = torch.cat([batch.images for batch in own])
    expected = torch.cat([batch.images[batch.indices.argsort()] for batch in loader])
    assert images.shape == expected.shape
    assert torch.equal(images, torch.stack([loader.dataset[index].images for index in range(len(loader.dataset))]))  # type: ignore[arg-type]
