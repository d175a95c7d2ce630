"""Keys of a search lead to where they say, also inside lists, and nowhere else."""

from typing import Any

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.recipe_keys import with_values

STAGES = [{"name": "head", "lr": 0.1}, {"name": "all", "lr": 0.2, "schedule": "one_cycle"}]
RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "model": {
        "class_path": "lightning_recipes.ImageClassifier",
        "init_args": {"lr": 1.0, "optimizer": "adamw", "loss": None, "backbone_kwargs": None},
    },
    "trainer": {
        "callbacks": [
            {"class_path": "lightning_recipes.Stages", "init_args": {"stages": STAGES}},
            {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.9}},
            "lightning_recipes.SAM",
            {"class_path": "lightning_recipes.OnPlateau"},
            {"class_path": "lightning_recipes.OnPlateau"},
        ],
        "max_epochs": 3,
    },
}


def test_a_key_goes_into_the_class_that_it_is_of() -> None:
    found = with_values(RECIPE, {"model.lr": 2.0, "trainer.max_epochs": 4, "seed_everything": 1})
    assert found["model"]["init_args"]["lr"] == 2.0
    assert found["trainer"]["max_epochs"] == 4
    assert found["seed_everything"] == 1
    assert RECIPE["model"]["init_args"]["lr"] == 1.0


@pytest.mark.parametrize("stage", ["all", "1"])
@pytest.mark.parametrize("callback", ["Stages", "0"])
def test_an_entry_of_a_list_is_named_by_class_name_or_number(callback: str, stage: str) -> None:
    found = with_values(RECIPE, {f"trainer.callbacks[{callback}].stages[{stage}].lr": 5.0})
    stages = found["trainer"]["callbacks"][0]["init_args"]["stages"]
    assert [one["lr"] for one in stages] == [0.1, 5.0]


def test_a_name_alone_takes_arguments_then() -> None:
    found = with_values(RECIPE, {
        "trainer.callbacks[SAM].rho": 0.1,
        "trainer.callbacks[3].mode": "reduce",
        "trainer.callbacks[Stages].stages[all].schedule.warmup": 0.2,
        "model.optimizer.momentum": 0.9,
        "model.backbone_kwargs.drop_path_rate": 0.3,
    })  # fmt: skip
    callbacks = found["trainer"]["callbacks"]
    assert callbacks[2] == {"class_path": "lightning_recipes.SAM", "init_args": {"rho": 0.1}}
    assert callbacks[3] == {"class_path": "lightning_recipes.OnPlateau", "init_args": {"mode": "reduce"}}
    assert callbacks[0]["init_args"]["stages"][1]["schedule"] == {"name": "one_cycle", "warmup": 0.2}
    assert found["model"]["init_args"]["optimizer"] == {"name": "adamw", "momentum": 0.9}
    assert found["model"]["init_args"]["backbone_kwargs"] == {"drop_path_rate": 0.3}


def test_what_a_mapping_is_made_of_comes_before_its_keys() -> None:
    values = {"model.optimizer.momentum": 0.9, "model.loss.label_smoothing": 0.1}
    found = with_values(RECIPE, {**values, "model.optimizer": "sgd", "model.loss": "cross_entropy"})
    assert found["model"]["init_args"]["optimizer"] == {"name": "sgd", "momentum": 0.9}
    assert found["model"]["init_args"]["loss"] == {"name": "cross_entropy", "label_smoothing": 0.1}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("trainer.callbacks[Stage].stages[all].lr", "'Stage' in 'trainer.callbacks'; did you mean Stages"),
        ("trainer.callbacks[Mixing].alpha", "there is no 'Mixing' in 'trainer.callbacks'; there are Stages, EMA, SAM"),
        ("trainer.callbacks[OnPlateau].mode", "has 2 of 'OnPlateau'; give a number, as in [3]"),
        ("trainer.callbacks[9].mode", "'trainer.callbacks' has no [9]; it has 5 entries, from 0 on"),
        ("trainer.callbacks.decay", "'trainer.callbacks' is a list; say which of it, as in trainer.callbacks[0]"),
        ("model.lr[all]", "'model.lr' is no list, to choose 'all' from"),
        ("model.lr.base", "'model.lr' is 1.0 and has no keys"),
        ("model.loss.gamma", "the recipe has no model.loss to change; name one first, as in --model.loss NAME"),
        ("modell.lr", "there is no 'modell' in the recipe; did you mean model?"),
        ("seed_everthing", "there is no such key; did you mean seed_everything?"),
        ("model..lr", "part 2 is no key"),
        ("run_dir", "is the same in all runs of a sweep; give it as --run_dir"),
        ("best_checkpoint.monitor", "is the same in all runs of a sweep; give it as --best_checkpoint.monitor"),
    ],
)  # fmt: skip
def test_a_key_that_leads_nowhere_is_refused_in_a_line(key: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        with_values(RECIPE, {key: 1})
    assert str(error.value).startswith(f"search.{key}: ")
    assert said in str(error.value)


def test_two_keys_that_are_the_same_are_refused() -> None:
    with pytest.raises(UserError, match=r"is the same as trainer\.callbacks\[EMA\]\.decay; keep one"):
        with_values(RECIPE, {"trainer.callbacks[EMA].decay": 0.9, "trainer.callbacks[1].decay": 0.8})


@pytest.mark.parametrize("given", ["made", {"root": "made", "weight": 1.0}])
def test_the_weight_of_extra_pictures_is_searched_whether_a_path_or_a_mapping_is_given(given: Any) -> None:
    recipe = {"data": {"class_path": "lightning_recipes.ImageDataModule", "init_args": {"extra": given}}}
    found = with_values(recipe, {"data.extra.weight": 0.5})
    assert found["data"]["init_args"]["extra"] == {"root": "made", "weight": 0.5}
