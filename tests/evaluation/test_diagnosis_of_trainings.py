"""Small trainings of which it is known by construction what is wrong with them, and what the diagnosis says of each."""

import dataclasses
import json
import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from typing_extensions import override

from lightning_recipes import BestCheckpoint, ErrorAnalysis, ImageClassifier, ImageDataModule, RunSummary, Stage, Stages
from lightning_recipes.data.sources.source import Subset
from tests.small import classifier, fit


class Digits(ImageDataModule):
    """Digits of which labels, or the training images themselves, are changed."""

    def __init__(self, *, wrong_labels: float = 0.0, leak: bool = False, every: int = 1, **options: Any) -> None:
        defaults = {"image_size": 32, "batch_size": 50, "augment": "none", "num_workers": 0}
        defaults |= {"val_fraction": 0.2, "images_per_class": 60}
        super().__init__("sklearn:digits", **{**defaults, **options})
        self.wrong_labels, self.leak, self.every = wrong_labels, leak, every

    @cached_property
    def opened(self) -> Any:
        opened = super().opened
        train, val = opened.splits.train, opened.splits.val
        val = Subset(val, np.arange(0, len(val), self.every))
        parts = [self._mislabelled(part, seed) for seed, part in enumerate((train, val))]
        if self.leak:
            parts[0] = parts[1]
        return dataclasses.replace(opened, splits=dataclasses.replace(opened.splits, train=parts[0], val=parts[1]))

    def _mislabelled(self, source: Any, seed: int) -> Subset:
        part, rng = Subset(source, np.arange(len(source))), np.random.default_rng(seed)
        wrong = rng.random(len(part)) < self.wrong_labels
        part.labels[wrong] = (part.labels[wrong] + rng.integers(1, 10, wrong.sum())) % 10
        return part


class Narrow(ImageClassifier):
    """All classes have to be told apart by a single number."""

    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(num_features, 1), nn.Linear(1, self.num_classes))


class OneAnswer(ImageClassifier):
    """Says 3, whatever it sees."""

    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        cast(nn.Linear, head).bias.data[3] = 50.0
        return head


def cached(epochs: int, **options: Any) -> Stage:
    return Stage("head", epochs=epochs, train="head", cache_features=True, **options)


def of_letters(kind: type[ImageClassifier] = ImageClassifier, **options: Any) -> ImageClassifier:
    return kind("test_resnet", 10, **{"pretrained": "embedded:letters", "lr": 0.01, **options})


def whole(**options: Any) -> ImageClassifier:
    return classifier(**{"lr": 0.01, "backbone_kwargs": {}, **options})


NOISE = [{"class_path": "albumentations.GaussNoise", "init_args": {"std_range": [0.6, 0.9], "p": 1.0}}]
Training = tuple[Callable[[], ImageClassifier], Callable[[], Digits], list[Stage], dict[str, Any]]

TRAININGS: dict[str, tuple[Training, list[str], list[str]]] = {
    # What is trained; words that the diagnosis has to have; words that it must not have.
    "well fitted": (
        (of_letters, Digits, [cached(8)], {}),
        ["do not differ beyond their intervals"],
        ["is the larger part:", "overfits", "chance", "diverged", "Too few"],
    ),
    "too small a network": (
        (lambda: of_letters(Narrow), Digits, [cached(8)], {}),
        ["Bias is the larger part"],
        ["Variance is", "chance", "longer training has nothing left"],
    ),
    "too little data": (
        (of_letters, lambda: Digits(images_per_class=5, batch_size=50), [cached(30, schedule="constant")], {}),
        ["Variance is the larger part", "longer training has nothing left to learn"],
        ["Bias is", "train longer"],
    ),
    "a head that was at its end long before augmentation began": (
        (
            of_letters,
            lambda: Digits(images_per_class=6, batch_size=60),
            [cached(30), Stage("augmented", epochs=3, train="head", augment=NOISE, lr=1e-4)],
            {},
        ),
        ["Variance is the larger part", "longer training has nothing left to learn"],
        ["Bias is", "less augmentation", "do not differ", "overfits"],
    ),
    "a fifth of the labels wrong": (
        (of_letters, lambda: Digits(wrong_labels=0.2), [cached(8, lr=2e-3)], {}),
        ["Bias is the larger part", "first of all look at label_issues.csv"],
        ["Variance is", "chance"],
    ),
    "heavy augmentation": (
        (
            whole,
            lambda: Digits(images_per_class=40, augment=[*NOISE, {"class_path": "albumentations.GaussianBlur"}]),
            [Stage("all", epochs=4)],
            {},
        ),
        ["without augmentation"],
        ["Variance is", "overfits"],
    ),
    "validation images among the training images": (
        (of_letters, lambda: Digits(leak=True), [cached(15, lr=0.05)], {}),
        ["do not differ beyond their intervals", "look for validation images among the training images"],
        ["is the larger part:", "overfits"],
    ),
    "a rate that makes the loss nan": (
        (lambda: whole(lr=1e30), lambda: Digits(images_per_class=10), [Stage("all", epochs=3)], {}),
        ["It diverged: the loss was not finite from epoch 0 on", "a lower learning rate"],
        ["do not differ", "is the larger part", "train longer"],
    ),
    "a rate that is too low": (
        (lambda: whole(lr=1e-9), lambda: Digits(images_per_class=20), [Stage("all", epochs=3)], {}),
        ["hardly", "a higher learning rate"],
        ["is the larger part:", "a lower learning rate", "diverged"],
    ),
    "one answer for every image": (
        (lambda: of_letters(OneAnswer, lr=1e-9), Digits, [cached(3)], {}),
        ["It says the same for all"],
        ["is the larger part:", "do not differ"],
    ),
    "labels that have nothing to do with the images": (
        (of_letters, lambda: Digits(wrong_labels=0.9, images_per_class=10), [cached(20, lr=0.05)], {}),
        ["chance", "labels"],
        ["is the larger part:", "a higher learning rate", "do not differ"],
    ),
    "too few validation images": (
        (of_letters, lambda: Digits(val_fraction=0.01), [cached(8)], {}),
        ["Too few validation images", "do not differ beyond their intervals"],
        ["is the larger part:", "overfits"],
    ),
    "ended while it was still improving": (
        (lambda: of_letters(lr=1e-3), Digits, [cached(300, schedule="constant")], {"max_epochs": 6}),
        ["It was ended before its plan", "6 of 300 epochs", "It was still getting better"],
        ["is the larger part:", "overfits"],
    ),
    "a plan that is too short": (
        (lambda: of_letters(lr=1e-3), Digits, [cached(6, schedule="constant")], {}),
        ["It was still getting better", "train longer"],
        ["ended before its plan", "overfits"],
    ),
    "overfitting": (
        (
            of_letters,
            lambda: Digits(images_per_class=10, wrong_labels=0.3, batch_size=50),
            [cached(30, lr=0.05, schedule="constant")],
            {},
        ),
        ["It overfits", "stop earlier", "it is not too small", "first of all look at label_issues.csv"],
        ["is the larger part:", "train longer", "still getting better", "diverged"],
    ),
}


EVERYDAY = (
    "well fitted",
    "too little data",
    "a rate that makes the loss nan",
    "ended while it was still improving",
)


def no_number(word: str) -> float:
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.filterwarnings("ignore:.*exceeds limit.*")
@pytest.mark.parametrize("name", [n if n in EVERYDAY else pytest.param(n, marks=pytest.mark.slow) for n in TRAININGS])
def test_the_diagnosis_of_a_training_is_what_it_was_made_to_be(name: str, tmp_path: Path) -> None:
    (make_model, make_data, stages, options), said, unsaid = TRAININGS[name]
    callbacks = [Stages(stages), ErrorAnalysis(), RunSummary(str(tmp_path)), BestCheckpoint(dirpath=str(tmp_path))]
    settings = {"max_epochs": -1, "default_root_dir": str(tmp_path), "enable_checkpointing": True, **options}
    fit(make_model(), make_data(), *callbacks, **settings)
    errors, summary = (
        json.loads((tmp_path / file).read_text(), parse_constant=no_number) for file in ("errors.json", "summary.json")
    )
    text = "\n".join(" | ".join(finding.values()) for finding in errors["diagnosis"])
    assert all(words in text for words in said), text
    assert not any(words in text for words in unsaid), text
    assert errors["training"]["images"] > 0
    assert all(math.isfinite(row["loss"]) for row in errors["highest_losses"])
    assert summary["diverged_at_epoch"] == (0 if "diverged" in text else None)
    assert (summary["val_images"], summary["best_epoch"]) == (errors["images"], errors["best_epoch"])
