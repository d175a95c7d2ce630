"""The learning rate finder in a fit: where it runs, what it sets, what it writes, and when it refuses."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes.callbacks.lr_finder import LearningRateFinder
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.engine.trial_steps import no_trace, rehearse_step
from lightning_recipes.errors import UserError
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.stages.plan import Stage
from tests.small import classifier, digits, fit


class Rates(pl.Callback):
    """The rate of every group at the first step of each epoch."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, i: int) -> None:
        if i == 0:
            self.seen.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})


def stages(**options: Any) -> Stages:
    return Stages(
        [
            Stage("head", epochs=1, train="head", lr=1e-5, schedule="constant", cache_features=True),
            Stage("all", epochs=2, lr=1e-5, lr_decay=0.5, schedule="constant", **options),
        ]
    )


def letters(**options: Any) -> ImageClassifier:
    return classifier(pretrained="embedded:letters", **options)


def test_each_stage_gets_its_own_rate_with_the_ratios_of_its_groups_kept(tmp_path: Path) -> None:
    rates, finder = Rates(), LearningRateFinder(orders=1, steps=20, max_lr=1.0)
    fit(letters(), digits(images_per_class=10), stages(), finder, rates, max_epochs=-1, default_root_dir=str(tmp_path))
    head, everything, later = rates.seen
    assert head["head"] == pytest.approx(finder.found["head"]["lr"])
    assert everything["head"] == pytest.approx(finder.found["all"]["lr"]) != head["head"]
    assert everything["head"] > 1e-4  # not the recipe's 1e-5, at which nothing moves
    assert later == everything  # the stage goes on with it
    for deeper, name in ((0.5, "layer4.0"), (0.25, "layer3.0")):
        assert everything[name] == pytest.approx(deeper * everything["head"])


def test_a_stage_that_is_not_named_keeps_the_rate_of_the_recipe(tmp_path: Path) -> None:
    rates, finder = Rates(), LearningRateFinder(stages=["all"], orders=1, steps=20, max_lr=1.0)
    fit(letters(), digits(images_per_class=10), stages(), finder, rates, max_epochs=-1, default_root_dir=str(tmp_path))
    assert rates.seen[0]["head"] == 1e-5
    assert list(finder.found) == ["all"]


def test_without_stages_it_runs_once_at_the_start(tmp_path: Path) -> None:
    rates, finder = Rates(), LearningRateFinder(orders=1, steps=20, max_lr=1.0)
    model = letters(lr=1e-6, schedule="constant")
    fit(model, digits(images_per_class=10), finder, rates, max_epochs=2, default_root_dir=str(tmp_path))
    assert list(finder.found) == ["all"]
    assert rates.seen[0]["head"] == rates.seen[1]["head"] == pytest.approx(finder.found["all"]["lr"])


def test_the_rate_that_a_quadratic_bowl_bears_is_not_exceeded(tmp_path: Path) -> None:
    """Gradient descent on c x² / 2 diverges above 2 / c: a suggestion has to lie below."""

    class Bowl(ImageClassifier):
        CURVATURE = 50.0

        @override
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            weight = self.head.weight
            assert isinstance(weight, Tensor)
            target = batch[1].float().mean()  # another one each batch: there is no rate at which nothing is left
            loss: Tensor = 0.5 * self.CURVATURE * (weight - target).square().sum()
            return loss

    model = Bowl("test_resnet", num_classes=10, pretrained=False, optimizer="sgd", weight_decay=0.0, lr=1e-3)
    finder = LearningRateFinder(orders=1, smoothing=0.5, min_lr=1e-5, max_lr=10.0, divergence=1e3)
    fit(model, digits(), finder, max_epochs=1, default_root_dir=str(tmp_path))
    found = finder.found["all"]
    assert len(found["rates"]) < 100  # it stopped where it diverged
    assert found["rates"][-1] > 2 / Bowl.CURVATURE
    for rule in ("steep", "valley", "minimum"):
        assert found["suggestions"][rule]["lr"] < 2 / Bowl.CURVATURE, rule


def test_figure_and_numbers_lie_in_the_runs_folder(tmp_path: Path) -> None:
    finder = LearningRateFinder(orders=2, steps=20, max_lr=1.0, suggestion="valley", apply=False)
    fit(letters(), digits(), stages(), finder, max_epochs=-1, default_root_dir=str(tmp_path))
    results = json.loads((tmp_path / "lr_finder.json").read_text())
    assert list(results) == ["head", "all"]
    for name, result in results.items():
        assert (tmp_path / "figures" / f"lr_finder_{name}.png").stat().st_size > 10_000
        assert set(result["suggestions"]) <= {"steep", "valley", "slide", "minimum", "divergence"}
        assert "valley" in result["suggestions"]
        assert (result["lr"], result["applied"]) == (1e-5, False)
        assert len(result["losses"]) == 2
        for found in result["suggestions"].values():
            assert found["low"] <= found["lr"] <= found["high"]


@pytest.mark.filterwarnings("ignore:Encountered `nan` values")  # torchmetrics, in the training that follows
@pytest.mark.parametrize(("value", "text"), [(float("nan"), "not finite after 0 steps"), (1.0, "hardly fell")])
def test_a_loss_that_cannot_be_used_is_said_and_the_recipes_rate_stays(value: float, text: str, tmp_path: Path) -> None:
    class Useless(ImageClassifier):
        @override
        def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
            return logits.sum() * 0 + value

    model = Useless("test_resnet", num_classes=10, pretrained=False, lr=0.125, schedule="constant")
    finder, rates = LearningRateFinder(orders=1, steps=20), Rates()
    with pytest.warns(UserWarning, match=rf"stage 'all': .*{text}.*its rate stays at 0\.125"):
        fit(model, digits(), finder, rates, max_epochs=1, default_root_dir=str(tmp_path))
    assert rates.seen[0]["head"] == 0.125
    assert json.loads((tmp_path / "lr_finder.json").read_text())["all"]["applied"] is False


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"min_lr": 0.0}, "min_lr: 0.0 is not a learning rate > 0"),
        ({"max_lr": 1e-9}, "max_lr: 1e-09 is not a learning rate > min_lr"),
        ({"steps": 3}, "steps: 3 is not a number >= 10"),
        ({"orders": 0}, "orders: 0 is not"),
        ({"smoothing": 1.0}, "smoothing: 1.0 is not"),
        ({"divergence": float("nan")}, "divergence: nan is not"),
        ({"suggestion": "best"}, "suggestion: best is not one of steep"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=f"LearningRateFinder.{text}"):
        LearningRateFinder(**values)


def test_a_stage_that_is_not_there_and_a_wrong_order_of_callbacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no stage 'al', only head, all"):
        fit(letters(), digits(), stages(), LearningRateFinder(stages=["al"]), max_epochs=-1)
    with pytest.raises(UserError, match="list it after Stages"):
        fit(letters(), digits(), LearningRateFinder(steps=10), stages(), max_epochs=-1, default_root_dir=str(tmp_path))


@pytest.mark.slow
def test_after_a_head_that_has_learned_all_it_can_the_rate_is_one_that_trains(tmp_path: Path) -> None:
    """On images that the head knows by heart the loss rises with every step, also with a good one."""
    data = {"images_per_class": 20, "val_fraction": 0.3, "augment": "none"}
    head = Stage("head", epochs=60, train="head", lr=1e-2, batch_size=50, cache_features=True)

    def accuracy(*finder: LearningRateFinder) -> float:
        plan = Stages([head, Stage("all", epochs=3, lr=1e-4, lr_decay=0.7, schedule="one_cycle")])
        options: dict[str, Any] = {"max_epochs": -1, "check_val_every_n_epoch": 63, "default_root_dir": str(tmp_path)}
        trainer, _ = fit(letters(), digits(**data), plan, *finder, **options)
        return float(trainer.callback_metrics["val_accuracy"])

    finder = LearningRateFinder(["all"], orders=1, steps=40, max_lr=1.0, smoothing=0.8)
    with_test, without = accuracy(finder), accuracy()
    assert finder.found["all"]["applied"]
    assert 1e-3 <= finder.found["all"]["lr"] <= 1e-2
    assert with_test > without + 0.03


@pytest.mark.parametrize("suggestion", ["steep", "divergence"])
def test_without_a_descent_a_stage_keeps_its_rate_unless_it_asks_for_where_the_loss_diverges(
    suggestion: Any, tmp_path: Path
) -> None:
    class Learned(ImageClassifier):
        """At the bottom of its bowl: the loss stays until the rate throws the weights out."""

        @override
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            weight = self.head.weight
            assert isinstance(weight, Tensor)
            push = (batch[1].float().mean() - 4.5) * (weight - weight.detach()).sum()  # of any sign, and worth nothing
            loss: Tensor = 1.0 + 10.0 * weight.square().sum() + push
            return loss

    model = Learned("test_resnet", num_classes=10, pretrained=False, optimizer="sgd", weight_decay=0.0, lr=1e-3)
    torch.nn.init.zeros_(model.head.weight)  # type: ignore[arg-type]
    finder = LearningRateFinder(suggestion=suggestion, orders=1, smoothing=0.0, min_lr=1e-4, max_lr=10.0)
    fit(model, digits(), finder, max_epochs=1, default_root_dir=str(tmp_path))
    found = finder.found["all"]
    assert list(found["suggestions"]) == ["divergence"]
    rates, losses = found["rates"], found["losses"][0]
    risen = next(rate for rate, loss in zip(rates, losses, strict=False) if loss > 1.5 * losses[0])
    assert found["suggestions"]["divergence"]["lr"] == pytest.approx(risen / 10)
    assert found["lr"] == pytest.approx(risen / 10 if suggestion == "divergence" else 1e-3)
    assert found["applied"] is (suggestion == "divergence")


@pytest.mark.slow
def test_a_stage_with_little_left_to_learn_still_gives_a_smooth_curve(tmp_path: Path) -> None:
    """On a batch of its own at every step, the differences between batches would hide the descent."""
    finder = LearningRateFinder(stages=["all"], orders=1, steps=60, max_lr=0.1, smoothing=0.0, apply=False)
    plan = Stages(
        [
            Stage("head", epochs=60, train="head", lr=1e-2, batch_size=50, cache_features=True),
            Stage("all", epochs=1, lr=1e-5),
        ]
    )
    data = digits(images_per_class=20, augment="none")
    options: dict[str, Any] = {"check_val_every_n_epoch": 61, "default_root_dir": str(tmp_path)}
    fit(letters(), data, plan, finder, max_epochs=-1, **options)
    losses = torch.tensor(finder.found["all"]["losses"][0][:15])  # rates at which next to nothing moves
    assert losses.diff().abs().max() < 0.02 * losses[0]


def test_a_trial_step_of_the_same_batch_twice_is_that_of_the_batch() -> None:
    ends = []

    class Try(pl.Callback):
        @override
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            batch = next(iter(trainer.datamodule.rehearsal_dataloaders()[0]))  # type: ignore[attr-defined]
            for batches in ([batch], [batch, batch]):
                with no_trace(trainer, pl_module) as optimizer:
                    rehearse_step(trainer, optimizer, batches, key=("try",))
                    ends.append(torch.cat([p.detach().flatten() for p in pl_module.parameters()]))

    torch.manual_seed(1)
    options: dict[str, Any] = {"pretrained": False, "image_size": 32, "schedule": "constant", "optimizer": "sgd"}
    model = ImageClassifier("test_vit", 10, **options)  # without batch-norm or draws
    fit(model, digits(augment="none"), Try(), max_epochs=1, limit_val_batches=0)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-5)
