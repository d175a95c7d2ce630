"""A plan in steps: which stage, rate, momentum and cycle a step has, on both sides of every boundary."""

from typing import Any

import pytest

from lightning_recipes.schedules.resolve import resolve_schedule
from lightning_recipes.stages.plan import Plan, Stage
from lightning_recipes.stages.timeline import Timeline

PLAN = Plan((Stage("head", epochs=2, train="head"), Stage("some", epochs=1, train=3), Stage("all", epochs=3)))


def timeline(plan: Plan, steps: list[int], *specs: Any, max_steps: int | None = None) -> Timeline:
    return Timeline(plan, steps, [resolve_schedule("s", spec) for spec in specs], max_steps)


def test_a_step_counts_from_the_start_of_its_stage_with_the_stages_own_batches() -> None:
    line = timeline(PLAN, [4, 4, 2], "constant", "constant", "constant")
    places = {step: (position, p.step, p.steps) for step in range(18) for position, p in [line.at(step)]}
    assert places[0] == (0, 0, 8)
    assert places[7] == (0, 7, 8)
    assert places[8] == (1, 0, 4)
    assert places[11] == (1, 3, 4)
    assert places[12] == (2, 0, 6)
    assert places[17] == (2, 5, 6)
    assert line.steps == 18
    assert [line.epoch_of(step) for step in (0, 6, 8, 10, 12, 13)] == [0, 1.5, 2, 2.5, 3, 3.5]


def test_steps_after_the_plan_stay_at_the_end_of_its_last_stage() -> None:
    position, progress = timeline(PLAN, [4, 4, 2], "cosine", "cosine", "cosine").at(100)
    assert (position, progress.fraction) == (2, 1.0)


def test_a_run_that_ends_before_its_plan_ends_its_schedule_there() -> None:
    line = timeline(Plan((Stage("all", epochs=3),)), [10], "cosine", max_steps=25)
    assert line.factor(24) < 0.01
    assert line.factor(12) == pytest.approx(0.5, abs=0.05)


def test_momentum_is_the_schedules_of_its_stage() -> None:
    line = timeline(PLAN, [4, 4, 2], "cosine", "one_cycle", "cosine")
    assert line.momentum(7) is None
    assert line.momentum(8) == 0.95
    assert line.momentum(12) is None


def test_a_restart_begins_the_schedule_anew_over_what_is_left_of_its_stage() -> None:
    plan = Plan((Stage("head", epochs=1, train="head"), Stage("all", epochs=6)))
    line = timeline(plan.restarted_after(2), [4, 4], "constant", "cosine")
    assert line.factor(11) < 1  # two epochs of six are done
    assert line.factor(12) == 1.0
    assert line.factor(20) == pytest.approx(0.5)  # half of the four that are left
    assert line.factor(27) < 0.05


def test_cycles_end_where_the_schedule_says_at_a_restart_and_never_in_the_middle_of_one() -> None:
    sgdr = {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 2}
    plan = Plan((Stage("head", epochs=1, train="head"), Stage("all", epochs=9)))
    assert timeline(plan, [4, 4], "constant", sgdr).cycle_ends(1) == [2, 4, 8]  # and two epochs of a cycle of eight
    assert timeline(plan, [4, 4], "constant", sgdr).cycle_ends(0) == [1]
    assert timeline(plan.restarted_after(4), [4, 4], "constant", sgdr).cycle_ends(1) == [2, 4, 5, 6, 8]


def test_a_stage_that_ends_early_moves_what_follows() -> None:
    plan = PLAN.ended_after(0)
    line = timeline(plan, [4, 4, 2], "cosine", "constant", "constant")
    assert [line.at(step)[0] for step in (3, 4, 7, 8)] == [0, 1, 1, 2]
    assert plan.epochs == 5
