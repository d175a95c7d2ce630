"""How a recipe names a schedule, and what it is told when it does so wrongly."""

import math

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.schedules.progress import Progress
from lightning_recipes.schedules.resolve import SCHEDULES, resolve_schedule


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_every_schedule_begins_at_most_at_the_base_rate_and_stays_finite(name: str, steps: int) -> None:
    needed = {"multistep": {"milestones": [1]}}
    schedule = resolve_schedule("s", {"name": name, **needed.get(name, {})})
    rates = [schedule(Progress(step, steps, 3)) for step in range(steps + 2)]
    assert all(math.isfinite(rate) and 0 <= rate <= 1 for rate in rates)


def test_a_schedule_is_named_with_its_arguments() -> None:
    schedule = resolve_schedule("model.schedule", {"name": "cosine", "end": 0.5})
    assert schedule(Progress(10, 10, 10)) == pytest.approx(0.5)


def halved(progress: Progress, *, times: int = 1) -> float:
    """Somebody's own schedule."""
    return float(0.5**times)


def test_a_users_own_function_is_named_by_its_import_path_and_can_be_warmed_up_to() -> None:
    path = "tests.schedules.test_resolve.halved"
    schedule = resolve_schedule("model.schedule", {"class_path": path, "init_args": {"times": 2, "warmup_epochs": 1}})
    assert [schedule(Progress(step, 8, 2)) for step in range(4)] == [0, 0.125, 0.25, 0.25]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("cosin", r"model\.schedule: 'cosin' is not a schedule .*did you mean cosine"),
        (
            {"name": "cosine", "ende": 0.1},
            r"model\.schedule\.ende: 'cosine' takes no such argument; did you mean end\?",
        ),
        ({"nam": "cosine"}, r"model\.schedule: .* is neither a name nor a mapping"),
        ("no_such_module.curve", r"model\.schedule: cannot import 'no_such_module\.curve'"),
        ({"name": "cosine", "end": 2}, r"model\.schedule\.end: 2 is not a factor in \[0, 1\]"),
        ({"name": "step", "every": 0}, r"model\.schedule\.every: 0 is not a number of epochs > 0"),
        ({"name": "exponential", "gamma": math.nan}, r"model\.schedule\.gamma: nan is not a factor in \(0, 1\]"),
        ({"name": "warm_restarts", "cycle_mult": 0.5}, r"model\.schedule\.cycle_mult: 0.5 is not a factor >= 1"),
        ({"name": "one_cycle", "momentum_low": 1.0}, r"model\.schedule\.momentum_low: 1.0 is not a momentum"),
        ({"name": "cosine", "warmup_epochs": -1}, r"model\.schedule\.warmup_epochs: -1 is not a number of epochs"),
        ({"name": "cosine", "end": "low"}, r"model\.schedule: cosine: .*not supported"),
        ("multistep", r"model\.schedule: multistep: .*milestones"),
        ("math.inf", r"model\.schedule: 'math\.inf' cannot be called"),
    ],
)
def test_a_wrong_schedule_is_named_in_the_error(spec: object, text: str) -> None:
    with pytest.raises(UserError, match=text):
        resolve_schedule("model.schedule", spec)  # type: ignore[arg-type]
