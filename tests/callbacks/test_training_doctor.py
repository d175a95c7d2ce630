"""Trainings that go wrong in one way each: what is said of them, once, and that nothing changes by it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_recipes import GradientClipping, ImageClassifier, ImageDataModule, Stage, Stages, TrainingDoctor
from lightning_recipes.errors import UserError
from tests.small import classifier, digits, fit, two_stages


def seen(
    model: ImageClassifier, data: ImageDataModule, folder: Path, *callbacks: Any, **options: Any
) -> dict[str, dict[str, Any]]:
    """What is said of a training, by its name."""
    doctor = TrainingDoctor()
    fit(model, data, *callbacks, doctor, default_root_dir=folder, **options)
    names = [one["name"] for one in doctor.said]
    assert len(names) == len(set(names))
    return {one["name"]: one for one in doctor.said}


class Rectified(ImageClassifier):
    """A head with a rectifier, whose bias can be such that it lets nothing through."""

    bias = 0.0

    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        made = nn.Sequential(nn.Linear(num_features, 16), nn.ReLU(), nn.Linear(16, self.num_classes))
        nn.init.constant_(made[0].bias, self.bias)  # type: ignore[arg-type]
        return made


class Dead(Rectified):
    bias = -100.0


class Spoilt(nn.Module):
    """Divides by nothing at its fourth call."""

    calls = 0

    def forward(self, features: Tensor) -> Tensor:
        self.calls += self.training
        return features / (0.0 if self.calls >= 4 else 1.0)


class DividesByZero(Rectified):
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(Spoilt(), super().configure_head(head, num_features))


def test_a_loss_that_shoots_up_is_told_with_its_step(tmp_path: Path) -> None:
    said = seen(classifier(optimizer="sgd", lr=30.0), digits(), tmp_path, max_epochs=3)["loss_shot_up"]
    assert (said["epoch"], said["step"]) == (2, 10)
    assert said["number"].startswith("from 2.3 to ")


def test_a_rate_of_next_to_nothing_is_told(tmp_path: Path) -> None:
    few = digits(images_per_class=10, batch_size=10)
    said = seen(classifier(lr=1e-9), few, tmp_path, max_epochs=10)["loss_crawls"]
    assert said["number"].endswith("over 100 steps, at a rate of up to 9.76e-10")


def test_the_layer_that_spoils_a_loss_is_named_before_all_the_others_are_spoilt_too(tmp_path: Path) -> None:
    said = seen(DividesByZero("test_resnet", 10, pretrained=False), digits(), tmp_path, max_epochs=2)
    assert said["not_finite"]["number"] == "layer head.0 is the first that makes it of finite numbers"
    assert said["not_finite"]["step"] == 3


@pytest.mark.parametrize(("kind", "dead"), [(Dead, True), (Rectified, False)])
def test_a_dead_layer_is_named(kind: type[Rectified], dead: bool, tmp_path: Path) -> None:
    said = seen(kind("test_resnet", 10, pretrained=False), digits(), tmp_path, max_epochs=4)
    assert ("dead_layer" in said) == dead
    if dead:
        assert said["dead_layer"]["what"] == "Layer head.1 is dead"
        assert said["dead_layer"]["number"].startswith("100.0 %")


def test_a_class_that_is_never_predicted_is_named(tmp_path: Path) -> None:
    weights = [1.0] * 10
    weights[3] = 1e-6
    loss = {"name": "cross_entropy", "class_weights": weights}
    model = ImageClassifier("test_resnet", 10, pretrained="embedded:letters", class_names=list("0123456789"), loss=loss)
    head = Stages([Stage("head", epochs=8, train="head", lr=0.03, cache_features=True)])
    said = seen(model, digits(images_per_class=10, val_fraction=0.1), tmp_path, head, max_epochs=-1)
    assert said["class_never_predicted"]["what"] == "Class '3' is never predicted"


def test_gradients_that_are_always_clipped_and_a_stage_that_has_learnt_all_are_told(tmp_path: Path) -> None:
    model = ImageClassifier("test_resnet", 10, pretrained="embedded:letters")
    head = Stages([Stage("head", epochs=40, train="head", lr=0.03, cache_features=True)])
    clipping = GradientClipping("norm", 1e-3)
    said = seen(model, digits(images_per_class=10, batch_size=8), tmp_path, head, clipping, max_epochs=-1)
    assert said["always_clipped"]["epoch"] == 1
    assert said["nothing_left_to_learn"]["what"].startswith("Stage 'head' has all training images right, and ")
    assert said["nothing_left_to_learn"]["epoch"] < 19


class Slow:
    """Forty images that take their time."""

    classes = ("a", "b")
    labels = np.arange(40) % 2
    paths = tuple(f"{i}.png" for i in range(40))

    def __len__(self) -> int:
        return 40

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        time.sleep(0.02)
        return np.full((32, 32, 3), index, dtype=np.uint8)


def slow() -> Slow:
    return Slow()


def test_the_loader_that_holds_a_training_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_recipes.evaluation.symptoms.loading.WAITED", 0.3)
    data = ImageDataModule(f"{__name__}.slow", image_size=32, batch_size=4, num_workers=0, val_fraction=0.1)
    model = ImageClassifier("test_resnet", 2, pretrained=False)
    head = Stages([Stage("head", epochs=2, train="head")])
    said = seen(model, data, tmp_path, head, max_epochs=-1)
    assert "with data.num_workers 0" in said["waits_for_images"]["number"]


def test_the_training_is_the_same_to_the_bit_and_what_is_ignored_is_not_said(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_epochs": 5, "default_root_dir": tmp_path}
    doctor = TrainingDoctor(["class_never_predicted", "loss_crawls"])
    weights = [fit(classifier(), digits(), two_stages(), *watched, **options)[1] for watched in ([], [doctor])]
    assert weights[0] == weights[1]
    assert not doctor.said
    with pytest.raises(UserError, match=r"TrainingDoctor.ignore: loss is not any of not_finite, "):
        TrainingDoctor(["loss"])


def test_no_hook_is_left_behind(tmp_path: Path) -> None:
    model = classifier()
    fit(model, digits(), TrainingDoctor(), max_epochs=5, default_root_dir=tmp_path)
    assert not any(layer._forward_hooks for layer in model.modules())


def test_it_says_nothing_twice_when_a_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = TrainingDoctor()
    trainer, _ = fit(
        classifier(optimizer="sgd", lr=30.0), digits(), first, max_epochs=3, default_root_dir=tmp_path / "a"
    )
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)  # of plain values alone
    caplog.clear()
    again = TrainingDoctor()
    model = classifier(optimizer="sgd", lr=30.0)
    fit(model, digits(), again, max_epochs=4, default_root_dir=tmp_path / "b", ckpt_path=tmp_path / "last.ckpt")
    assert again.said[: len(first.said)] == first.said
    assert "has shot up" not in caplog.text
