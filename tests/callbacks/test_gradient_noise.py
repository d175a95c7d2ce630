"""Gradient noise against the variance of Neelakantan et al. (2015) and against a step worked out by hand."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes import GradientNoise, LearningRateFinder, UserError
from lightning_recipes.callbacks.gradient_noise import add_noise_, noise_std
from lightning_recipes.randomness import generator_for
from tests.small import classifier, digits, fit


@pytest.mark.parametrize(
    ("step", "eta", "gamma", "std"), [(0, 0.01, 0.55, 0.1), (3, 1.0, 1.0, 0.5), (15, 0.64, 0.5, 0.4)]
)
def test_std_is_the_root_of_the_papers_variance(step: int, eta: float, gamma: float, std: float) -> None:
    assert noise_std(step, eta=eta, gamma=gamma) == pytest.approx(std)


def test_noise_has_the_stated_moments_and_leaves_global_random_state_alone() -> None:
    n, before = 100_000, torch.get_rng_state()
    weight = nn.Parameter(torch.zeros(n))
    weight.grad = torch.full_like(weight, 3.0)
    add_noise_([weight, nn.Parameter(torch.zeros(3))], 0.2, generator_for("test"))
    assert weight.grad.mean().item() == pytest.approx(3.0, abs=5 * 0.2 / n**0.5)  # five standard errors
    assert weight.grad.std().item() == pytest.approx(0.2, rel=5 / (2 * n) ** 0.5)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_step_differs_from_plain_descent_by_the_rate_times_the_noise() -> None:
    plain, noisy = (classifier(optimizer="sgd", lr=0.5, schedule="constant", weight_decay=0.0) for _ in range(2))
    fit(plain, digits(), max_epochs=1, limit_train_batches=1)
    fit(noisy, digits(), GradientNoise(eta=0.04), max_epochs=1, limit_train_batches=1)
    generator = generator_for("gradient_noise", 0, seed=1)
    order = [p for group in noisy.trainer.optimizers[0].param_groups for p in group["params"]]
    others = [p for group in plain.trainer.optimizers[0].param_groups for p in group["params"]]
    for ours, theirs in zip(order, others, strict=True):
        noise = 0.2 * torch.randn(ours.shape, generator=generator)
        torch.testing.assert_close(ours, theirs - 0.5 * noise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("key", "value"), [("eta", 0.0), ("eta", float("nan")), ("gamma", -0.1)])
def test_a_bad_value_is_named(key: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"GradientNoise\.{key}: {value} "):
        GradientNoise(**{key: value})


class Gradient(pl.Callback):
    """The gradient of the head's bias at each step, as it is at this place in the list."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    @override
    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: object) -> None:
        gradient = pl_module.get_parameter("head.bias").grad
        assert gradient is not None
        self.seen.append(gradient.clone())


@pytest.mark.filterwarnings("ignore:.*hardly fell.*", "ignore:.*finds nothing.*")
def test_each_step_of_a_range_test_has_noise_of_its_own_and_training_the_noise_that_it_has_without(
    tmp_path: Path,
) -> None:
    def noise(*callbacks: pl.Callback) -> list[Tensor]:
        before, after = Gradient(), Gradient()
        several = [*callbacks, before, GradientNoise(eta=0.04, gamma=0.0), after]
        fit(classifier(), digits(), *several, max_epochs=1, limit_train_batches=2, default_root_dir=str(tmp_path))
        return [a - b for a, b in zip(after.seen, before.seen, strict=True)]

    alone = noise()
    with_test = noise(LearningRateFinder(apply=False, steps=12, orders=2, min_lr=1e-6, max_lr=1e-5))
    tried, trained = with_test[:-2], with_test[-2:]
    assert len(tried) == 24
    for ours, theirs in zip(trained, alone, strict=True):
        torch.testing.assert_close(ours, theirs)
    correlation = torch.corrcoef(torch.stack(with_test)) - torch.eye(26)
    assert correlation.max() < 0.99  # ten numbers a step: none is another's again
    assert torch.stack(tried).mean(dim=0).abs().max() < 5 * 0.2 / 24**0.5  # no drift: five standard errors
