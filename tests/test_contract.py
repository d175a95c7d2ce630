"""What others rely on: public names, the door called callbacks, and a class of one's own in Python."""

import dataclasses
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

import lightning_recipes
from lightning_recipes import ImageClassifier, Stage, Stages
from tests.small import classifier, digits, fit, two_stages

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_these_and_each_can_be_imported() -> None:
    assert sorted(lightning_recipes.__all__) == [
        "ActivationRegularization", "BestCheckpoint", "ClassificationModule", "ConditionalGAN", "EMA", "EarlyStopping",
        "EnsembleClassifier", "ErrorAnalysis", "GradientClipping", "GradientNoise", "ImageClassifier",
        "ImageDataModule", "L1", "LastCheckpoint", "LayerGroup", "LearningRateFinder", "Lookahead", "MaxNorm",
        "MicroBatches", "MisclassifiedGradCAM", "Mixing", "OnPlateau", "Plan", "Prediction",
        "PretrainingDataModule", "PretrainingModule", "RunRecorder",
        "RunSummary", "SAM", "SnapshotEnsemble", "Stage", "StagedModule", "Stages", "StemWhitening", "StochasticDepth",
        "TrainingDoctor", "UserError", "WandbTracker", "__version__", "groups_of", "load",
    ]  # fmt: skip
    assert all(hasattr(lightning_recipes, name) for name in lightning_recipes.__all__)


def test_the_folder_callbacks_is_a_door_and_not_a_second_package() -> None:
    door = ROOT / "callbacks"
    assert door.is_symlink()
    assert door.readlink() == Path("lightning_recipes/callbacks")
    assert Stages.__module__ == "lightning_recipes.callbacks.stages"
    assert "callbacks.stages" not in sys.modules


class Sharpened(ImageClassifier):
    """Somebody's own classifier: a head of two layers, and a loss with a term of its own."""

    def __init__(self, *args: object, penalty: float = 0.1, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.penalty = penalty

    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(num_features, 16), nn.ReLU(), nn.Linear(16, self.num_classes))

    @override
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().compute_loss(logits, labels) + self.penalty * logits.square().mean()


def test_a_subclass_trains_in_stages_and_is_loaded_back_from_its_checkpoint(tmp_path: Path) -> None:
    model = Sharpened("test_resnet", num_classes=10, pretrained="embedded:letters", penalty=0.2)
    trainer, _ = fit(model, digits(), two_stages(), max_epochs=-1)
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    again = Sharpened.load_from_checkpoint(tmp_path / "mine.ckpt")
    assert again.penalty == 0.2
    assert again.input_config.mean == (0.5, 0.5, 0.5)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again.eval()(images), model.eval()(images))


def test_without_stages_it_is_a_plain_module_that_trains_everything() -> None:
    model = ImageClassifier("test_resnet", num_classes=10, pretrained=False, lr=0.01, schedule="cosine")
    trainer, _ = fit(model, digits(), max_epochs=2)
    optimizer = trainer.optimizers[0]
    assert all(p.requires_grad for p in model.parameters())
    assert len(optimizer.state) == len(list(model.parameters()))
    assert max(group["lr"] for group in optimizer.param_groups) < 1e-6  # the cosine has come to its end


def test_frozen_layers_have_no_optimizer_state_until_they_train() -> None:
    states = []

    class Watch(pl.Callback):
        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            states.append(len(trainer.optimizers[0].state))

    model = ImageClassifier("test_resnet", num_classes=10, pretrained=False)
    fit(model, digits(), two_stages(), Watch(), max_epochs=-1)
    everything = len(list(model.parameters()))
    assert states == [2, everything, everything]  # weight and bias of the head alone, at first


def test_a_backbone_can_be_pretrained_by_a_run_of_ones_own(tmp_path: Path) -> None:
    first = ImageClassifier("test_resnet", num_classes=10, pretrained=False)
    trainer, _ = fit(first, digits(mean=[0.4, 0.4, 0.4], std=[0.3, 0.3, 0.3]), max_epochs=1)
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    second = ImageClassifier("test_resnet", num_classes=3, pretrained=str(tmp_path / "first.ckpt"))
    for name, value in first.backbone.state_dict().items():
        assert torch.equal(value, second.backbone.state_dict()[name]), name
    assert second.input_config.mean == (0.4, 0.4, 0.4)  # what the first run's images were like
    assert second.input_config.image_size == 32


LOOK = Stage("look", epochs=1, train="head", lr=0.01, cache_features=True)


def letters() -> ImageClassifier:
    return ImageClassifier("test_resnet", num_classes=10, pretrained="embedded:letters")


def test_features_are_those_of_the_backbone_as_it_is_and_not_as_it_was() -> None:
    stages = [LOOK, Stage("all", epochs=1, lr=0.01), dataclasses.replace(LOOK, name="again")]
    _, cached = fit(letters(), digits(augment="none"), Stages(stages), max_epochs=-1)
    stages = [dataclasses.replace(stage, cache_features=False) for stage in stages]
    _, uncached = fit(letters(), digits(augment="none"), Stages(stages), max_epochs=-1)
    assert cached == uncached


def test_a_data_module_that_is_used_again_gives_the_features_of_the_next_backbone() -> None:
    data = digits()
    fit(classifier(), data, Stages([LOOK]), max_epochs=-1)
    shas = [fit(letters(), images, Stages([LOOK]), max_epochs=-1)[1] for images in (data, digits())]
    assert shas[0] == shas[1]


def test_a_data_module_that_is_used_again_begins_at_the_first_epoch() -> None:
    data = digits(augment="medium")
    shas = [fit(classifier(), images, max_epochs=2)[1] for images in (data, data, digits(augment="medium"))]
    assert shas[0] == shas[1] == shas[2]


def test_the_whole_set_in_one_batch_is_gradient_descent() -> None:
    data = digits(batch_size="all", balance=True)
    trainer, _ = fit(classifier(optimizer="sgd"), data, max_epochs=2)
    assert trainer.global_step == 2
    assert data.class_counts == [4] * 10
