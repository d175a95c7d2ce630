"""L1, max-norm, activation regularisation, stochastic depth and dropout: each against its formula, in a real fit."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes import (
    L1,
    ActivationRegularization,
    ImageClassifier,
    LearningRateFinder,
    MaxNorm,
    Stage,
    StochasticDepth,
    UserError,
)
from lightning_recipes import Stages as StagesCallback
from lightning_recipes.callbacks.max_norm import limit_norms_
from tests.small import classifier, digits, fit

DESCENT: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "schedule": "constant", "weight_decay": 0.0}


def weights(*callbacks: pl.Callback, loss: type[ImageClassifier] | None = None, **options: Any) -> dict[str, Tensor]:
    torch.manual_seed(1)
    model = (loss or ImageClassifier)("test_resnet", num_classes=10, pretrained=False, **DESCENT)
    nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
    fit(model, digits(), *callbacks, max_epochs=1, **options)
    return {name: p.detach() for name, p in model.named_parameters()}


class WithL1(ImageClassifier):
    """The penalty in the loss itself, for autograd."""

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        decayed = [p for p in self.parameters() if p.ndim > 1]
        return super().compute_loss(logits, labels) + 0.01 * torch.stack([p.abs().sum() for p in decayed]).sum()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_l1_moves_weights_as_the_penalty_in_the_loss_would(accumulate: int) -> None:
    ours = weights(L1(0.01, every_n_steps=1), accumulate_grad_batches=accumulate)
    theirs, without = weights(loss=WithL1, accumulate_grad_batches=accumulate), weights()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5)
    assert (ours["head.weight"] - without["head.weight"]).norm() > 0.01


def test_l1_every_few_steps_shrinks_as_much_as_at_each() -> None:
    each, lazily, without = weights(L1(0.01, every_n_steps=1)), weights(L1(0.01, every_n_steps=4)), weights()
    name = "head.weight"
    shrunk = [float(without[name].abs().sum() - ones[name].abs().sum()) for ones in (each, lazily)]
    assert shrunk[1] == pytest.approx(shrunk[0], rel=0.1)
    assert shrunk[0] > 0


@pytest.mark.parametrize(("regularizer", "strength"), [pytest.param(L1, 0.05, marks=pytest.mark.slow), (MaxNorm, 0.5)])
def test_a_range_test_sees_what_every_step_comes_to(regularizer: Any, strength: float, tmp_path: Path) -> None:
    def found(every: int) -> Any:
        finder = LearningRateFinder(["all"], steps=40, orders=1, min_lr=1e-5, max_lr=1.0, apply=False)
        regularizers = [regularizer(strength, every_n_steps=every)]
        stages = StagesCallback([Stage("all", 1, lr=0.01)])
        options: dict[str, Any] = {"max_epochs": -1, "default_root_dir": tmp_path}
        fit(classifier(pretrained="embedded:letters"), digits(), stages, finder, *regularizers, **options)
        return {name: value for name, value in finder.found["all"].items() if name != "seconds"}

    assert found(1) == found(8)


def test_max_norm_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    limit_norms_([weight], 2.5)
    torch.testing.assert_close(weight.detach(), torch.tensor([[1.5, 2.0], [0.3, 0.4]]))


def test_no_unit_that_trains_is_longer_than_the_limit_and_what_is_frozen_stays() -> None:
    model = classifier()
    before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
    fit(model, digits(), StagesCallback([Stage("head", epochs=1, train="head", lr=5.0)]), MaxNorm(0.5), max_epochs=-1)
    assert float(model.head.weight.detach().norm(dim=1).max()) <= 0.5 * (1 + 1e-5)  # type: ignore[operator]
    assert all(torch.equal(p, before[name]) for name, p in model.backbone.named_parameters())
    model.unfreeze()
    fit(model, digits(), MaxNorm(0.2), max_epochs=1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            assert float(parameter.detach().flatten(1).norm(dim=1).max()) <= 0.2 * (1 + 1e-5)


def test_activation_regularisation_adds_the_mean_square_of_the_features() -> None:
    seen: dict[str, Tensor] = {}

    class Look(ImageClassifier):
        @override
        def classify(self, features: Tensor) -> Tensor:
            if self.training and "features" not in seen:
                seen["features"] = features.detach().clone()
            return super().classify(features)

    class First(pl.Callback):
        @override
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            seen.setdefault("logged", trainer.callback_metrics["activation_regularization"].clone())

    torch.manual_seed(1)
    model = Look("test_resnet", num_classes=10, pretrained=False)
    fit(model, digits(), ActivationRegularization(0.5), First(), max_epochs=1, log_every_n_steps=1)
    torch.testing.assert_close(seen["logged"], 0.5 * seen["features"].square().mean())


def test_activation_regularisation_makes_features_smaller() -> None:
    def size(*callbacks: pl.Callback) -> float:
        model = classifier(lr=0.01, schedule="constant")
        fit(model, digits(), *callbacks, max_epochs=2)
        with torch.inference_mode():
            return float(model.train().features(torch.randn(8, 3, 32, 32)).square().mean())

    assert size(ActivationRegularization(2.0)) < 0.9 * size()


@pytest.mark.parametrize("planned", [3, 5])
def test_stochastic_depth_grows_over_the_runs_epochs_along_timms_line_over_the_depth(planned: int) -> None:
    seen: list[list[float]] = []

    class Rates(pl.Callback):
        @override
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
            rates = [m.drop_prob or 0.0 for m in pl_module.modules() if isinstance(m, DropPath)]
            if len(seen) == trainer.current_epoch:
                seen.append(rates)

    model = classifier()
    full = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    plan = StagesCallback([Stage("all", epochs=planned, lr=1e-3)])
    fit(model, digits(), plan, StochasticDepth(start=0.5), Rates(), max_epochs=3)
    assert max(full) == pytest.approx(0.2)
    for epoch, share in enumerate((0.5, 0.75, 1.0)):
        assert seen[epoch] == pytest.approx([share * rate for rate in full])
    assert [m.drop_prob for m in model.modules() if isinstance(m, DropPath)] == full


def test_a_backbone_that_drops_nothing_is_refused() -> None:
    model = ImageClassifier("test_resnet", num_classes=10, pretrained=False)
    with pytest.raises(UserError, match="drop_path_rate"):
        fit(model, digits(), StochasticDepth(), max_epochs=1)


def test_dropout_takes_features_from_the_head_in_training_alone() -> None:
    model = ImageClassifier("test_resnet", num_classes=10, pretrained=False, dropout=0.5)
    features = torch.ones(200, model.backbone.num_features)  # type: ignore[call-overload]
    seen: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train().classify(features)
    model.eval().classify(features)
    dropped, kept = seen
    assert float((dropped == 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(dropped[dropped > 0], torch.full_like(dropped[dropped > 0], 2.0))
    assert torch.equal(kept, features)


class Wrong(ImageClassifier):
    """Drops before a batch-norm."""

    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(num_features), head)


def test_dropout_before_batch_norm_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"'head\.0' drops units before the batch-norm 'head\.1'"):
        fit(Wrong("test_resnet", num_classes=10, pretrained=False), digits(), max_epochs=1, limit_train_batches=1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: L1(0.0), r"L1\.strength: 0\.0"),
        (lambda: L1(every_n_steps=0), r"L1\.every_n_steps: 0 is not a number >= 1"),
        (lambda: MaxNorm(float("nan")), r"MaxNorm\.limit: nan"),
        (lambda: ActivationRegularization(-1.0), r"ActivationRegularization\.strength: -1\.0"),
        (lambda: StochasticDepth(1.5), r"StochasticDepth\.start: 1\.5"),
        (lambda: ImageClassifier("test_resnet", 2, pretrained=False, dropout=1.0), r"model\.dropout: 1\.0"),
    ],
)
def test_a_bad_value_is_named(make: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        make()
