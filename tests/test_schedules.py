"""Schedules against torch's own schedulers, step by step, and against hand-worked points."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from lightning_recipes.errors import UserError
from lightning_recipes.schedules import Progress, constant, cosine, one_cycle, resolve_schedule

STEPS = 40


def curve_of(scheduler: LRScheduler) -> list[float]:
    """Learning rates that a torch scheduler gives for a base rate of 1."""
    rates = []
    for step in range(STEPS):
        rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        if step < STEPS - 1:
            scheduler.step()
    return rates


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


@pytest.mark.parametrize("end", [0.0, 0.1])
def test_cosine_is_torchs_cosine_annealing(end: float) -> None:
    ours = [cosine(Progress(step, STEPS, 10), end=end) for step in range(STEPS)]
    assert ours == pytest.approx(curve_of(CosineAnnealingLR(sgd(), T_max=STEPS, eta_min=end)), abs=1e-12)


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.9])
def test_one_cycle_is_torchs_one_cycle(warmup: float) -> None:
    ours = [one_cycle(Progress(step, STEPS, 10), warmup=warmup) for step in range(STEPS)]
    theirs = OneCycleLR(sgd(), max_lr=1.0, total_steps=STEPS, pct_start=warmup, cycle_momentum=False)
    assert ours == pytest.approx(curve_of(theirs), abs=1e-12)


def test_one_cycle_peaks_at_the_base_rate_and_ends_far_below_where_it_began() -> None:
    rates = [one_cycle(Progress(step, 10, 5), warmup=0.3) for step in range(10)]
    assert max(rates) == rates[2] == 1.0  # the third of ten steps, as 0.3 says
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[-1] == pytest.approx(1 / 25e4)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_stages_of_a_few_steps_have_finite_rates(steps: int) -> None:
    for function in (constant, cosine, one_cycle):
        rates = [function(Progress(step, steps, 1)) for step in range(steps + 2)]
        assert all(math.isfinite(rate) and 0 <= rate <= 1 for rate in rates)


def test_a_schedule_is_named_with_its_arguments() -> None:
    schedule = resolve_schedule("model.schedule", {"name": "cosine", "end": 0.5})
    assert schedule(Progress(10, 10, 10)) == pytest.approx(0.5)


def test_a_users_own_function_is_named_by_its_import_path() -> None:
    schedule = resolve_schedule("model.schedule", "lightning_recipes.schedules.constant")
    assert schedule(Progress(3, 10, 10)) == 1.0


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cosin", r"model\.schedule: 'cosin' is not a schedule .*did you mean cosine\?"),
        (
            {"name": "cosine", "ende": 0.1},
            r"model\.schedule\.ende: 'cosine' takes no such argument; did you mean end\?",
        ),
        ({"nam": "cosine"}, r"model\.schedule: .* is neither a name nor a mapping"),
        ("no_such_module.curve", r"model\.schedule: cannot import 'no_such_module\.curve'"),
    ],
)
def test_a_wrong_schedule_is_named_in_the_error(spec: object, text: str) -> None:
    with pytest.raises(UserError, match=text):
        resolve_schedule("model.schedule", spec)  # type: ignore[arg-type]
