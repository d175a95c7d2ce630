"""Rising schedules against torch's and timm's schedulers, step by step, and where their cycles end."""

import pytest
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR

from lightning_recipes.schedules.cycles import cycle_lengths
from lightning_recipes.schedules.progress import Progress
from lightning_recipes.schedules.resolve import resolve_schedule
from tests.schedules.curves import PER_EPOCH, STEPS, momentum_of_ours, of_ours, of_timm, of_torch


@pytest.mark.parametrize(("epochs", "mult"), [(1, 2), (2, 1), (3, 3), (2, 2)])
@pytest.mark.parametrize("end", [0.0, 0.05])
def test_warm_restarts_are_torchs(epochs: int, mult: int, end: float) -> None:
    ours = of_ours({"name": "warm_restarts", "cycle_epochs": epochs, "cycle_mult": mult, "end": end})
    theirs = of_torch(lambda o: CosineAnnealingWarmRestarts(o, T_0=epochs * PER_EPOCH, T_mult=mult, eta_min=end))
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_warm_restarts_with_lower_and_lower_tops_are_timms() -> None:
    ours = of_ours({"name": "warm_restarts", "cycle_epochs": 2, "cycle_mult": 2, "cycle_decay": 0.5})
    theirs = of_timm(
        lambda o: CosineLRScheduler(
            o, t_initial=2 * PER_EPOCH, cycle_mul=2, cycle_decay=0.5, cycle_limit=9, t_in_epochs=False
        )
    )
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("step", [0, 10, 40, 130, 400, 1210, 3640])
def test_every_restart_is_at_the_top_also_where_logarithms_miss_it(step: int) -> None:
    schedule = resolve_schedule("s", {"name": "warm_restarts", "cycle_epochs": 10, "cycle_mult": 3})
    assert schedule(Progress(step, 10**4, 1)) == 1.0
    if step:
        assert schedule(Progress(step - 1, 10**4, 1)) < 0.03


def test_cycles_of_a_half_more_are_rounded_to_steps_and_follow_one_another() -> None:
    assert cycle_lengths(30, 4, cycle_epochs=1, cycle_mult=1.5) == [4, 6, 9, 14]
    schedule = resolve_schedule("s", {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1.5})
    tops = [step for step in range(33) if schedule(Progress(step, 33, 4)) == 1.0]
    assert tops == [0, 4, 10, 19]


@pytest.mark.parametrize(
    ("spec", "ends"),
    [
        ({"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 2}, [4, 12, 28]),
        ({"name": "warm_restarts", "cycle_epochs": 2, "cycle_mult": 1}, [8, 16, 24]),
        ({"name": "warm_restarts", "cycle_epochs": 2, "cycle_mult": 1, "warmup_epochs": 1}, [12, 20, 28]),
        ({"name": "triangular", "cycle_epochs": 3}, [12, 24]),
        ("cosine", [28]),
    ],
)
def test_a_schedule_says_where_its_whole_cycles_end(spec: str, ends: list[int]) -> None:
    assert resolve_schedule("s", spec).cycle_ends(28, 4) == ends


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.9])
def test_one_cycle_is_torchs_in_rate_and_momentum(warmup: float) -> None:
    spec = {"name": "one_cycle", "warmup": warmup}
    rates = of_torch(lambda o: OneCycleLR(o, max_lr=1.0, total_steps=STEPS, pct_start=warmup))
    momenta = of_torch(lambda o: OneCycleLR(o, max_lr=1.0, total_steps=STEPS, pct_start=warmup), key="momentum")
    assert of_ours(spec) == pytest.approx(rates, abs=1e-12)
    assert momentum_of_ours(spec) == pytest.approx(momenta, abs=1e-12)


def test_one_cycle_leaves_momentum_alone_where_it_is_told_to() -> None:
    assert set(momentum_of_ours({"name": "one_cycle", "momentum_low": None})) == {None}
    assert set(momentum_of_ours("cosine")) == {None}


def test_one_cycle_peaks_at_the_base_rate_and_ends_far_below_where_it_began() -> None:
    rates = of_ours({"name": "one_cycle", "warmup": 0.3}, steps=10, per_epoch=5)
    assert max(rates) == rates[2] == 1.0  # the third of ten steps, as 0.3 says
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[-1] == pytest.approx(1 / 25e4)


@pytest.mark.parametrize(("name", "mode"), [("triangular", "triangular"), ("triangular2", "triangular2")])
def test_triangles_are_torchs(name: str, mode: str) -> None:
    ours = of_ours({"name": name, "cycle_epochs": 2, "low": 0.2})
    theirs = of_torch(
        lambda o: CyclicLR(
            o, base_lr=0.2, max_lr=1.0, step_size_up=PER_EPOCH, mode=mode, cycle_momentum=False  # type: ignore[arg-type]
        )
    )  # fmt: skip
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_exp_range_is_torchs() -> None:
    ours = of_ours({"name": "exp_range", "cycle_epochs": 2, "low": 0.2, "gamma": 0.8})
    theirs = of_torch(
        lambda o: CyclicLR(
            o, 0.2, 1.0, step_size_up=PER_EPOCH, mode="exp_range", gamma=0.8 ** (1 / PER_EPOCH), cycle_momentum=False
        )
    )
    assert ours == pytest.approx(theirs, abs=1e-12)
