"""Classical mistakes, each planted in a recipe that is sound without it: what is said of them, and by which check."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere
from torch.utils.data import DataLoader

from lightning_recipes import ImageClassifier, ImageDataModule, Stage
from lightning_recipes.data.loading.train_sampler import Key
from lightning_recipes.data.sources.open import OpenedData
from lightning_recipes.data.sources.source import Splits
from tests.checks.checked import ALL, DIGITS, HEAD, UPRIGHT, checked, classifier, digits, faults


class SoftmaxInForward(ImageClassifier):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(dim=1)


class SigmoidInForward(ImageClassifier):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).sigmoid()


class LogOfLogits(ImageClassifier):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).log()


class SoftmaxInLoss(ImageClassifier):
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.softmax(dim=1), labels)


class LossOverImages(ImageClassifier):
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(logits.log_softmax(dim=0), labels)


class SummedLoss(ImageClassifier):
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="sum")


class LossWithoutLabels(ImageClassifier):
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, logits.argmax(dim=1))


class WideHead(ImageClassifier):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        wide = nn.Linear(num_features, self.num_classes)
        nn.init.normal_(wide.weight, std=3.0)
        return wide


class ForgottenFreeze(ImageClassifier):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        for parameter in self.backbone.conv1.parameters():  # type: ignore[union-attr]
            parameter.requires_grad_(False)
        return head

    def apply_stage(self, stage: Any) -> None:
        super().apply_stage(stage)
        for parameter in self.backbone.conv1.parameters():  # type: ignore[union-attr]
            parameter.requires_grad_(False)


class UnusedLayer(ImageClassifier):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        made = nn.Sequential(head)
        made.register_module("unused", nn.Linear(3, 3))
        made.forward = lambda x: head(x)  # type: ignore[method-assign]
        return made


class DetachedFeatures(ImageClassifier):
    def features(self, images: Tensor) -> Tensor:
        return super().features(images).detach()


class EvalWhileTraining(ImageClassifier):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.eval()
        return super().training_step(batch, batch_idx)


class TrainsFrozenNorms(ImageClassifier):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        for layer in self.modules():
            layer.training = True
        return super().training_step(batch, batch_idx)


class MixesImages(ImageClassifier):
    def features(self, images: Tensor) -> Tensor:
        features = super().features(images)
        return features.view(features.shape[1], -1).t().contiguous()  # meant: nothing at all


class LooksAtNothing(ImageClassifier):
    def features(self, images: Tensor) -> Tensor:
        return super().features(torch.zeros_like(images))


class NormalizesAgain(ImageClassifier):
    def features(self, images: Tensor) -> Tensor:
        m, s = (torch.tensor(values)[:, None, None] for values in (self.input_used.mean, self.input_used.std))
        return super().features((images - m) / s)


class SwapsChannels(ImageClassifier):
    def features(self, images: Tensor) -> Tensor:
        return super().features(images.flip(1))


class MispairedLabels(ImageClassifier):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch._replace(labels=batch.labels.roll(1)), batch_idx)


class DropsBeforeNorm(ImageClassifier):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(
            nn.Dropout(0.5), nn.Linear(num_features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)
        )


class DrawsAtRandom(ImageClassifier):
    generator = torch.Generator()  # whose state goes on from step to step

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        noise = 0.1 * torch.randn(batch.images.shape, generator=self.generator)
        return super().training_step(batch._replace(images=batch.images + noise), batch_idx)


class AugmentsValidation(ImageDataModule):
    def val_dataloader(self) -> DataLoader[Any]:
        self.passes = getattr(self, "passes", 0) + 1
        settings = self.settings_of(None)
        dataset = settings.dataset(self.opened.splits.val, train=True)
        keys = [Key(self.passes, index) for index in range(len(dataset))]
        return DataLoader(dataset, batch_size=20, sampler=keys)


class Relabelled:
    """A source with other labels."""

    def __init__(self, source: Any, labels: NDArray[np.int64]) -> None:
        self.source, self.labels = source, labels
        self.classes, self.paths = source.classes, source.paths

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self.source.read(index, min_size)
        return image


class OtherLabels(ImageDataModule):
    """Labels of one split or both that are not those of the images."""

    def relabel(self, train: Any, val: Any) -> ImageDataModule:
        splits = self.opened.splits
        made = (
            Relabelled(part, new(np.asarray(part.labels))) for part, new in ((splits.train, train), (splits.val, val))
        )
        self.opened = OpenedData(Splits(*made))
        return self


def shuffled(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(labels)


MODELS: list[tuple[type[ImageClassifier], str, str]] = [
    (SoftmaxInForward, "logits", "probabilities that add up to one"),
    (LossOverImages, "loss", "a softmax over the images"),
    (ForgottenFreeze, "gradients of stage 'all'", "are frozen: backbone.conv1.0.weight"),
    (EvalWhileTraining, "modes of stage 'all'", "in eval mode while training"),
    (MixesImages, "own_image", "others of its batch"),
    (NormalizesAgain, "normalization", "normalised twice"),
    (DrawsAtRandom, "repeats", ""),
]
MORE: list[tuple[type[ImageClassifier], str, str]] = [
    (SigmoidInForward, "logits", "as after a sigmoid"),
    (LogOfLogits, "logits", "not finite"),
    (SoftmaxInLoss, "loss", "a softmax too much"),
    (SummedLoss, "loss", "a sum"),
    (LossWithoutLabels, "loss", "where wrong"),
    (WideHead, "first_loss", ""),
    (UnusedLayer, "gradients of stage 'all'", "no gradient: head.unused"),
    (DetachedFeatures, "gradients of stage 'all'", "no gradient: backbone"),
    (LooksAtNothing, "own_image", "do not change with their image"),
]


@pytest.mark.parametrize(
    ("kind", "name", "said"), [*MODELS, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE)]
)
def test_a_mistake_in_the_model_is_named(kind: type[ImageClassifier], name: str, said: str) -> None:
    found = faults(checked(classifier(kind), digits()))
    assert said in found[name]


@pytest.mark.filterwarnings("ignore:'head.0' drops units")  # as setup says, too
def test_dropout_before_a_norm_is_named() -> None:
    assert "before the batch-norm" in faults(checked(classifier(DropsBeforeNorm), digits()))["dropout"]


def test_norms_of_frozen_layers_that_train_are_named() -> None:
    frozen = Stage("head", epochs=1, train="head")
    found = faults(checked(classifier(TrainsFrozenNorms), digits(), frozen))
    assert "though frozen" in found["gradients of stage 'head'"]
    assert "in training mode though frozen" in found["modes of stage 'head'"]


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_rate_a_thousand_times_off_is_named(factor: float) -> None:
    found = checked(classifier(), digits(), replace(ALL, lr=1e-3 * factor), steps=30)["learning_rate"]
    assert found.status in ("failed", "warned")  # a tenth may learn, and a warm-up get there
    assert "lr-find" in found.advice


@pytest.mark.parametrize(("mean", "std"), [([0.0] * 3, [1.0] * 3), ([0.1] * 3, [0.5] * 3)])
def test_a_normalization_that_is_not_that_of_the_weights_is_named(mean: list[float], std: list[float]) -> None:
    found = checked(classifier(), digits(mean=mean, std=std))["normalization"]
    assert found.status == "failed"
    assert "leave data.mean and data.std out" in found.advice


@pytest.mark.slow
def test_labels_that_belong_to_other_images_are_named() -> None:
    found = faults(checked(classifier(), OtherLabels("sklearn:digits", **DIGITS).relabel(shuffled, shuffled), steps=30))
    assert {"labels", "learns"} <= set(found)


@pytest.mark.slow
def test_labels_that_a_training_step_mixes_up_are_named() -> None:
    found = checked(classifier(MispairedLabels), digits(), steps=40)
    assert found["labels"].status == "passed"
    assert found["learns"].status == "failed"


def test_another_order_of_the_classes_in_validation_is_named() -> None:
    data = OtherLabels("sklearn:digits", **DIGITS).relabel(lambda labels: labels, lambda labels: (labels + 1) % 10)
    assert "were the classes named otherwise: '0' is '9'" in faults(checked(classifier(), data))["validation"]


@pytest.mark.parametrize(
    ("augment", "status"),
    [([{"PixelDropout": {"dropout_prob": 0.97, "p": 1.0}}], "failed"), ("light", "warned"), (UPRIGHT, "passed")],
)
def test_an_augmentation_that_changes_what_it_shows_is_named(augment: Any, status: str) -> None:
    found = checked(classifier(), digits(augment=augment))["augmentation"]  # mirrored digits are no digits
    assert found.status == status


def test_an_augmented_validation_is_named() -> None:
    assert (
        "from one pass to the next"
        in faults(checked(classifier(), AugmentsValidation("sklearn:digits", **DIGITS)))["evaluation"]
    )


def test_swapped_channels_are_named(tmp_path: Path) -> None:
    data = coloured(tmp_path)
    assert not faults(checked(classifier(num_classes=2), data))
    found = faults(checked(classifier(SwapsChannels, num_classes=2), coloured(tmp_path)))
    assert found["channels"] == "blue, green, red"


def coloured(folder: Path) -> ImageDataModule:
    """Pictures of two classes, reddish ones and bluish ones."""
    generator = np.random.default_rng(0)
    for name, colour in (("red", (170, 80, 60)), ("blue", (60, 90, 170))):
        (folder / name).mkdir(exist_ok=True)
        for number in range(24):
            pixels = np.clip(generator.normal(colour, 50, (32, 32, 3)) + generator.normal(0, 30, 3), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return ImageDataModule(str(folder), val_fraction=0.3, image_size=32, batch_size=16, num_workers=0)


def test_a_head_alone_is_checked_for_what_its_features_were_made_of() -> None:
    found = checked(classifier(), digits(mean=[0.1] * 3, std=[0.5] * 3), HEAD)
    assert {"normalization"} == set(faults(found))
    assert {"baselines", "evaluation", "training_images", "gradients of stage 'head'"} <= set(found)


def test_the_recipe_without_a_mistake_passes() -> None:
    assert not faults(checked(classifier(), digits(), HEAD, ALL, steps=60))


class LearnsByHeart(ImageClassifier):
    """Takes the true labels from elsewhere."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        true = torch.as_tensor(self.trainer.datamodule.opened.splits.train.labels)  # type: ignore[attr-defined]
        return super().training_step(batch._replace(labels=true[batch.indices].long()), batch_idx)


@pytest.mark.slow
def test_labels_that_come_by_another_way_are_named() -> None:
    found = checked(classifier(LearnsByHeart), digits(), steps=40)
    assert found["learns"].status == "passed"
    assert "by another way than the batch's" in found["shuffled_labels"].advice
