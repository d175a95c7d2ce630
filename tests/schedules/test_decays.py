"""Falling schedules against torch's and timm's schedulers, step by step, and against the formulas of the sources."""

import math

import pytest
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler as torch_schedulers

from tests.schedules.curves import PER_EPOCH, STEPS, of_ours, of_timm, of_torch


@pytest.mark.parametrize("end", [0.0, 0.1])
def test_cosine_is_torchs_cosine_annealing(end: float) -> None:
    theirs = of_torch(lambda o: torch_schedulers.CosineAnnealingLR(o, T_max=STEPS, eta_min=end))
    assert of_ours({"name": "cosine", "end": end}) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("gamma", "every"), [(0.1, 3), (0.5, 1)])
def test_step_is_torchs_step(gamma: float, every: int) -> None:
    theirs = of_torch(lambda o: torch_schedulers.StepLR(o, every, gamma), every=PER_EPOCH)
    assert of_ours({"name": "step", "gamma": gamma, "every": every}) == pytest.approx(theirs)


def test_step_is_timms_step() -> None:
    theirs = of_timm(lambda o: StepLRScheduler(o, decay_t=2 * PER_EPOCH, decay_rate=0.3, t_in_epochs=False))
    assert of_ours({"name": "step", "gamma": 0.3, "every": 2}) == pytest.approx(theirs)


def test_step_falls_at_the_right_step_where_epochs_are_fractions() -> None:
    rates = of_ours({"name": "step", "gamma": 0.5, "every": 0.1}, steps=70, per_epoch=10)
    assert rates == [0.5**step for step in range(70)]  # 0.3 / 0.1 is below 3 in floats


def test_multistep_is_torchs_multistep() -> None:
    theirs = of_torch(lambda o: torch_schedulers.MultiStepLR(o, [2, 5, 8], 0.2), every=PER_EPOCH)
    assert of_ours({"name": "multistep", "milestones": [2, 5, 8], "gamma": 0.2}) == pytest.approx(theirs)


def test_exponential_is_torchs_exponential_a_step_and_an_epoch() -> None:
    ours = of_ours({"name": "exponential", "gamma": 0.8})
    per_step = of_torch(lambda o: torch_schedulers.ExponentialLR(o, 0.8 ** (1 / PER_EPOCH)))
    per_epoch = of_torch(lambda o: torch_schedulers.ExponentialLR(o, 0.8), every=PER_EPOCH)
    assert ours == pytest.approx(per_step)
    assert ours[::PER_EPOCH] == pytest.approx(per_epoch[::PER_EPOCH])


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_polynomial_is_torchs_and_timms(power: float) -> None:
    ours = of_ours({"name": "polynomial", "power": power})
    assert ours == pytest.approx(of_torch(lambda o: torch_schedulers.PolynomialLR(o, STEPS, power)))
    timm = of_timm(lambda o: PolyLRScheduler(o, t_initial=STEPS, power=power, lr_min=0.1, t_in_epochs=False))
    assert of_ours({"name": "polynomial", "power": power, "end": 0.1}) == pytest.approx(timm)


def test_time_based_is_the_formula() -> None:
    assert of_ours({"name": "time_based", "gamma": 0.5})[:: 2 * PER_EPOCH] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    )


def test_one_over_k_is_the_formula() -> None:
    assert of_ours("one_over_k")[::PER_EPOCH] == pytest.approx([1 / k for k in range(1, 11)])
    roots = of_ours({"name": "one_over_k", "power": 0.5})[::PER_EPOCH]
    assert roots == pytest.approx([1 / math.sqrt(k) for k in range(1, 11)])


def test_flat_then_cosine_keeps_the_rate_and_then_is_a_cosine_of_the_rest() -> None:
    ours = of_ours({"name": "flat_cosine", "flat": 0.75})
    assert ours[:31] == [1.0] * 31
    assert ours[30:] == pytest.approx([(1 + math.cos(math.pi * i / 10)) / 2 for i in range(10)])


@pytest.mark.parametrize("start", [0.0, 0.2])
def test_a_warm_up_before_a_cosine_is_torchs_and_timms(start: float) -> None:
    ours = of_ours({"name": "cosine", "warmup_epochs": 2, "warmup_start": start})
    timm = of_timm(
        lambda o: CosineLRScheduler(
            o, t_initial=STEPS - 8, warmup_t=8, warmup_lr_init=start, warmup_prefix=True, t_in_epochs=False
        )
    )
    assert ours == pytest.approx(timm, abs=1e-12)
    if start:  # torch refuses to begin at zero
        torchs = of_torch(
            lambda o: torch_schedulers.SequentialLR(
                o,
                [
                    torch_schedulers.LinearLR(o, start, total_iters=8),
                    torch_schedulers.CosineAnnealingLR(o, T_max=STEPS - 8),
                ],
                milestones=[8],
            )
        )
        assert ours == pytest.approx(torchs, abs=1e-12)


def test_a_warm_up_climbs_to_where_the_curve_begins() -> None:
    rates = of_ours({"name": "one_cycle", "start_div": 10, "warmup_epochs": 1})
    assert rates[:5] == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])
    assert max(rates) > 0.99
