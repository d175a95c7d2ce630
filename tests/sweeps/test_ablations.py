"""Which lines of a recipe are techniques, and what is left without one."""

import copy
from typing import Any

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.ablations import lines_of, name_of
from lightning_recipes.sweeps.recipe_keys import with_values
from lightning_recipes.sweeps.values import ONE_AT_A_TIME, values_of

PLAIN: dict[str, Any] = {
    "model": {
        "class_path": "lightning_recipes.ImageClassifier",
        "init_args": {
            "pretrained": False,
            "lr_decay": 1.0,
            "weight_decay": 0.0,
            "schedule": "constant",
            "dropout": 0.0,
            "freeze_norm_stats": False,
            "init": None,
            "activation": None,
            "loss": None,
            "optimizer": "adamw",
        },
    },
    "data": {"class_path": "lightning_recipes.ImageDataModule", "init_args": {"augment": "none", "balance": False}},
    "trainer": {"precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": None, "callbacks": None},
}
STAGES = {
    "class_path": "lightning_recipes.Stages",
    "init_args": {
        "stages": [
            {"name": "head", "epochs": 2, "train": "head", "lr_decay": 0.5, "cache_features": True, "augment": "light"},
            {"name": "all", "epochs": 3, "train": "all", "lr_decay": 0.5, "schedule": "one_cycle"},
        ]
    },
}


def recipe(*callbacks: Any, **model: Any) -> dict[str, Any]:
    made = copy.deepcopy(PLAIN)
    made["model"]["init_args"] |= model
    made["trainer"]["callbacks"] = list(callbacks) or None
    return made


def found(made: dict[str, Any]) -> dict[str, Any]:
    return {one.key: one.kind.at(0.0) for one in lines_of(made).keys}


def test_what_is_on_can_be_taken_out() -> None:
    loss = {"name": "cross_entropy", "label_smoothing": 0.1}
    assert found(recipe(dropout=0.2, pretrained="embedded:letters", loss=loss)) == {
        "model.pretrained": False,
        "model.dropout": 0.0,
        "model.loss.label_smoothing": 0.0,
    }


def test_callbacks_and_stages_are_taken_out_whole() -> None:
    ema = {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.99}}
    key = "trainer.callbacks[Stages].stages"
    assert found(recipe(STAGES, ema, {"class_path": "lightning_recipes.EpochLines", "init_args": {}})) == {
        f"{key}[head]": None,
        f"{key}[all]": None,
        f"{key}[all].lr_decay": 1.0,
        f"{key}[all].schedule": "constant",
        "trainer.callbacks[EMA]": None,
    }  # not what a stage of frozen layers on cached features says without effect


def test_a_recipe_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(UserError, match="one_at_a_time: the recipe has no technique"):
        lines_of(recipe())


def test_each_trial_lacks_one_thing_and_has_all_others() -> None:
    noise = [{"class_path": "lightning_recipes.GradientNoise", "init_args": {"eta": eta}} for eta in (0.1, 0.2)]
    made = recipe(STAGES, *noise, weight_decay=0.01)
    space = lines_of(made)
    trials = [values_of(space, k, seed=0, sampler=ONE_AT_A_TIME) for k in range(len(space.keys) + 1)]
    assert trials[0] == {}
    assert with_values(made, trials[0]) == made
    changed = [with_values(made, values) for values in trials[1:]]
    assert len({str(one) for one in [made, *changed]}) == len(trials)
    without = next(one for one, values in zip(changed, trials[1:], strict=True) if "trainer.callbacks[1]" in values)
    assert without["trainer"]["callbacks"] == [STAGES, noise[1]]
    assert without["model"] == made["model"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"trainer.callbacks[Stages].stages[head]": None}, "without stage head"),
        ({"trainer.callbacks[2]": None}, "without callback 2"),
        ({"model.pretrained": False}, "model.pretrained false"),
        ({"trainer.gradient_clip_val": None}, "trainer.gradient_clip_val off"),
    ],
)
def test_names_for_tables(values: dict[str, Any], name: str) -> None:
    assert name_of(values) == name
