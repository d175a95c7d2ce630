"""SAM against algorithm 1 of Foret et al. (2021), worked out with plain torch, and against training without it."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes import (
    SAM,
    ImageClassifier,
    LayerGroup,
    LearningRateFinder,
    MicroBatches,
    Mixing,
    StagedModule,
    UserError,
    groups_of,
)
from lightning_recipes.callbacks.sam import ascent_
from tests.foreign.denoising import Pictures
from tests.small import classifier, digits, fit, two_stages

LR = 0.1


class Nowhere(SAM):
    """Two passes at the same weights: the training of one."""

    @override
    def climb(self, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
        super().climb(parameters, [None] * len(gradients))


class See(pl.Callback):
    """Keeps the batches, and what is logged at the end of each epoch."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.logged: list[dict[str, float]] = []

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        self.batches.append(batch)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def smooth_network() -> ImageClassifier:
    """Without batch-norm and without draws, so that a step can be worked out."""
    torch.manual_seed(1)
    options: dict[str, Any] = {"optimizer": "sgd", "lr": LR, "weight_decay": 0.0, "schedule": "constant"}
    model = ImageClassifier("test_vit", 10, pretrained=False, image_size=32, **options)
    nn.init.normal_(model.head.weight, std=0.1)  # type: ignore[arg-type]
    return model


def test_ascent_goes_rho_along_the_gradient() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    frozen = nn.Parameter(torch.ones(1))
    before = ascent_([a, b, frozen], [torch.tensor([3.0, 0.0]), torch.tensor([4.0]), None], rho=0.5)
    torch.testing.assert_close(a.detach(), torch.tensor([0.3, 0.0]))  # 0.5 * 3 / 5
    torch.testing.assert_close(b.detach(), torch.tensor([0.4]))
    assert frozen.tolist() == [1]
    assert [float(t.sum()) for t in before] == [0, 0, 1]


@pytest.mark.parametrize("gradient", [[0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_ascent_goes_nowhere_without_a_direction(gradient: list[float]) -> None:
    parameter = nn.Parameter(torch.ones(2))
    ascent_([parameter], [torch.tensor(gradient)], rho=0.5)
    assert parameter.tolist() == [1, 1]


def by_hand(model: nn.Module, batches: list[tuple[Tensor, Tensor]], rho: float) -> dict[str, Tensor]:
    """One step of plain SGD with the mean over the batches of each one's gradient at its own worst point."""
    weights, total = list(model.parameters()), [torch.zeros_like(p) for p in model.parameters()]
    for images, labels in batches:
        gradient = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), weights)
        norm = torch.cat([g.flatten() for g in gradient]).norm()
        worst = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, g in zip(worst.parameters(), gradient, strict=True):
                parameter.add_(rho * g / norm)
        there = torch.autograd.grad(nn.functional.cross_entropy(worst(images), labels), list(worst.parameters()))
        total = [t + g / len(batches) for t, g in zip(total, there, strict=True)]
    with torch.no_grad():
        for parameter, g in zip(weights, total, strict=True):
            parameter.sub_(LR * g)
    return dict(model.state_dict())


@pytest.mark.parametrize(("accumulate", "parts"), [(1, 1), (2, 1), (1, 2)])
def test_a_step_is_that_of_algorithm_1(accumulate: int, parts: int) -> None:
    see, model = See(), smooth_network()
    reference = copy.deepcopy(model)
    more = [MicroBatches(start=parts, trial=False)] if parts > 1 else []
    options: dict[str, Any] = {"max_steps": 1, "accumulate_grad_batches": accumulate, "limit_val_batches": 0}
    fit(model, digits(augment="none"), SAM(0.05), *more, see, **options)
    batches = [(b.images, b.labels) for b in see.batches[:accumulate]]
    plain = by_hand(copy.deepcopy(reference).train(), batches, rho=1e-9)
    for name, value in by_hand(reference.train(), batches, rho=0.05).items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-5)
    far = max(float((model.state_dict()[name] - value).abs().max()) for name, value in plain.items())
    assert far > 1e-3  # a step without it is another


FP16 = {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))]}


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate_grad_batches": 3}, {"precision": "bf16-mixed"}, pytest.param(FP16, marks=pytest.mark.slow)],
)
def test_with_no_way_to_go_it_is_the_training_without_it_to_the_bit(options: dict[str, Any]) -> None:
    """Dropout and blocks draw the same twice, statistics move once, each image is counted once."""

    def train(*callbacks: pl.Callback) -> tuple[str, list[dict[str, float]]]:
        see, model = See(), classifier(dropout=0.3, optimizer="sgd")
        if "plugins" in options:
            options["plugins"] = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))]
        _, sha = fit(model, digits(), two_stages(), *callbacks, see, max_epochs=-1, **options)
        return sha, see.logged

    assert train(Mixing(0.4), Nowhere()) == train(Mixing(0.4))


def test_what_is_logged_is_the_loss_at_the_weights_and_not_at_the_worst_point() -> None:
    logged = []
    for callbacks in ([], [SAM(1.0)]):
        see = See()
        fit(smooth_network(), digits(augment="none"), *callbacks, see, max_steps=1, max_epochs=1, limit_train_batches=1)
        logged.append({name: value for name, value in see.logged[0].items() if name.startswith("train_")})
    assert logged[0] == logged[1]


def test_a_learning_rate_finder_tests_with_it_and_leaves_no_trace(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_epochs": 1, "default_root_dir": tmp_path}
    finder = LearningRateFinder(steps=10, orders=1, apply=False)
    shas = [fit(classifier(), digits(), *c, SAM(0.05), **options)[1] for c in ([], [finder])]
    assert shas[0] == shas[1]


def test_an_exception_leaves_the_weights_as_they_were(tmp_path: Path) -> None:
    class Fails(ImageClassifier):
        passes = 0

        @override
        def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
            self.passes += self.training
            if self.passes == 2:  # the second pass of the first batch
                raise RuntimeError("broken")
            return super().compute_loss(logits, labels)

    torch.manual_seed(1)
    model = Fails("test_vit", 10, pretrained=False, image_size=32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="broken"):
        fit(model, digits(), SAM(0.5), max_epochs=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_training_step_of_its_own_is_refused() -> None:
    class OwnStep(ImageClassifier):
        @override
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return self.compute_loss(self(batch[0]), batch[1])

    with pytest.raises(UserError, match="SAM: the training_step of OwnStep takes one pass"):
        fit(OwnStep("test_resnet", 10, pretrained=False), digits(), SAM(), max_epochs=1)


@pytest.mark.parametrize("rho", [0.0, -1.0, math.nan, math.inf])
def test_bad_values_are_named(rho: float) -> None:
    with pytest.raises(UserError, match=rf"SAM\.rho: {rho} is not a length > 0"):
        SAM(rho)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
def test_each_of_two_processes_goes_to_its_own_worst_point() -> None:
    see, whole = See(), smooth_network()
    model = copy.deepcopy(whole)
    options: dict[str, Any] = {"max_steps": 1, "limit_val_batches": 0}
    fit(whole, digits(augment="none"), see, **options)  # one process of twice the batch sees the images of both
    fit(model, digits(augment="none", batch_size=5), SAM(0.05), strategy="ddp_fork", devices=2, **options)
    images, labels = see.batches[0][:2]
    halves = [(images[rank::2], labels[rank::2]) for rank in (0, 1)]
    for name, value in by_hand(smooth_network().train(), halves, rho=0.05).items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-5)


class Bowl(StagedModule):
    """A loss of nothing but the penalty that a callback adds."""

    def __init__(self) -> None:
        super().__init__(lr=LR, optimizer="sgd", schedule="constant", weight_decay=0.0)
        self.net = nn.Linear(3, 1, bias=False)

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        return groups_of(net=self.net)

    @override
    def training_loss(self, batch: Tensor, key: tuple[str | int, ...]) -> Tensor:
        loss: Tensor = self.net(torch.zeros(2, 3)).sum()
        return loss


class HalfSquare(pl.Callback):
    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Bowl)
        pl_module.additions.penalties["square"] = lambda: 0.5 * pl_module.net.weight.square().sum()


def test_penalties_are_a_part_of_the_slope_that_is_climbed() -> None:
    module = Bowl()
    w = module.net.weight.detach().clone()
    fit(module, Pictures(), HalfSquare(), SAM(0.5), max_steps=1, max_epochs=1, limit_val_batches=0)
    torch.testing.assert_close(module.net.weight.detach(), w - LR * (w + 0.5 * w / w.norm()))
