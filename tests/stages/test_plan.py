"""The plan: which stage an epoch belongs to, on both sides of every boundary."""

from typing import Any

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Plan, Stage

PLAN = Plan((Stage("head", epochs=2, train="head"), Stage("some", epochs=1, train=3), Stage("all", epochs=3)))


def test_every_epoch_belongs_to_the_stage_that_holds_it() -> None:
    assert [PLAN.at(epoch).name for epoch in range(6)] == ["head", "head", "some", "all", "all", "all"]
    assert PLAN.epochs == 6
    assert [PLAN.start_of(position) for position in range(3)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "stage 's', epochs: 0 is not a number >= 1; give epochs or steps"),
        ({"epochs": -1}, "stage 's', epochs: -1"),
        ({"steps": 0}, "stage 's', steps: 0"),
        ({"epochs": -1, "steps": 1}, "stage 's', epochs: -1 is not a number >= 1"),
        ({"epochs": 1, "lr": -1.0}, "stage 's', lr: -1.0"),
        ({"epochs": 1, "lr": float("nan")}, "stage 's', lr: nan"),
        ({"epochs": 1, "lr_decay": 0.0}, "stage 's', lr_decay: 0.0"),
        ({"epochs": 1, "train": 0}, "stage 's', train: 0"),
        ({"epochs": 1, "batch_size": 0}, "stage 's', batch_size: 0"),
        ({"epochs": 1, "cache_features": True}, "cache_features: needs train: head"),
        ({"epochs": 1, "train": "head", "cache_features": True, "augment": "light"}, "augment must be none"),
        ({"epochs": 1, "train": "head", "cache_features": True, "feature_views": 2}, "give at most 1"),
        ({"epochs": 1, "train": "head", "feature_views": 2}, "feature_views: needs cache_features"),
        ({"epochs": 1, "train": "head", "cache_features": True, "feature_views": 0}, "feature_views: 0 is not"),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_stage(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        Stage("s", **values)


def test_an_empty_plan_and_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="the list is empty"):
        Plan(())
    with pytest.raises(UserError, match="2 stages are called 'a'"):
        Plan((Stage("a", epochs=1), Stage("a", epochs=1)))
