"""What a search file may say, and the line that answers what it may not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_recipes.errors import UserError
from lightning_recipes.sweeps.space import parse_space


def refused(search: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        parse_space(search)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"log": [1e-2, 1e-4]}, "search.model.lr.log: 0.01 is not below 0.0001; give [low, high]"),
        ({"uniform": [1, 1]}, "search.model.lr.uniform: 1 is not below 1; give [low, high]"),
        ({"log": [0, 1]}, "search.model.lr.log: 0 has no logarithm; give a low > 0, or take log"),
        ({"log_int": [-1, 8]}, "search.model.lr.log_int: -1 has no logarithm; give a low > 0, or take int"),
        ({"int": [1, 2.5]}, "search.model.lr.int: [1, 2.5] are not whole numbers"),
        ({"uniform": [1, 2, 3]}, "search.model.lr.uniform: [1, 2, 3] is not [low, high], two numbers"),
        ({"uniform": [True, 2]}, "search.model.lr.uniform: [True, 2] is not [low, high], two numbers"),
        ({"uniform": [1, float("nan")]}, "search.model.lr.uniform: [1, nan] is not [low, high], two numbers"),
        ({"choice": []}, "search.model.lr.choice: [] is not a list of values; give some, as in [sgd, adamw]"),
        ({"choice": ["a", "b", "a"]}, 'search.model.lr.choice: "a" is there twice; keep one'),
        ({"unifrom": [0, 1]}, "search.model.lr.unifrom: there is no such kind of values; did you mean uniform?"),
        ({"log": [1, 2], "int": [1, 2]}, "search.model.lr: give one of log, uniform, int, log_int, choice"),
        ({"int": [1, 2], "steps": 3}, "search.model.lr.steps: 3 is for log and uniform"),
        ({"log": [1, 2], "steps": 1}, "search.model.lr.steps: 1 is not a number >= 2"),
        ([1e-4, 1e-2], "search.model.lr: [0.0001, 0.01] is not a mapping; say what it is drawn from"),
        ({"log": [1, 2], "when": {"model.los": 1}}, "search.model.lr.when.model.los: is no key that is searched"),
        ({"log": [1, 2], "when": 3}, "search.model.lr.when: 3 is not a mapping of another key to its value or values"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_line_that_names_the_key(entry: Any, said: str) -> None:
    assert refused({"model.lr": entry}).startswith(said)


def test_a_condition_is_on_a_key_that_is_searched_and_a_value_that_it_may_have() -> None:
    optimizer = {"choice": ["sgd", "adamw"]}
    said = refused({"model.optimizer": optimizer, "model.lr": {"log": [1, 2], "when": {"model.optimiser": "sgd"}}})
    assert said == "search.model.lr.when.model.optimiser: is no key that is searched; did you mean model.optimizer?"
    said = refused({"model.optimizer": optimizer, "model.lr": {"log": [1, 2], "when": {"model.optimizer": "adam"}}})
    assert said == 'search.model.lr.when.model.optimizer: "adam" is not among its values, "sgd", "adamw"'


def test_conditions_that_go_round_in_a_circle_are_refused() -> None:
    said = refused({
        "model.a": {"int": [1, 3], "when": {"model.b": 1}},
        "model.b": {"int": [1, 3], "when": {"model.a": 1}},
    })  # fmt: skip
    assert said.startswith("search.model.a: the conditions of model.a, model.b go round in a circle")


def test_an_empty_search_and_init_args_are_refused() -> None:
    assert refused({}).startswith("search: no key is searched; give one, as in model.lr: {log: ")
    said = refused({"model.init_args.lr": {"log": [1, 2]}})
    assert said == "search.model.init_args.lr: leave out init_args; the key is 'model.lr'"


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path: Path) -> None:
    text = "model.lr: {log: [1e-4, 1E-2]}\nmodel.weight_decay: {choice: [0, 1e-5]}"
    lr, decay = parse_space(yaml.safe_load(text)).keys
    assert (lr.kind.at(0.0), lr.kind.at(1.0)) == (1e-4, 1e-2)
    assert decay.kind.grid() == [0, 1e-5]


def test_a_key_comes_behind_those_that_its_condition_asks_for_wherever_it_stands() -> None:
    space = parse_space({
        "c": {"int": [1, 3], "when": {"b": [1, 2]}},
        "b": {"int": [1, 3], "when": {"a": True}},
        "a": {"choice": [True, 1]},
    })  # fmt: skip
    assert [one.key for one in space.ordered] == ["a", "b", "c"]
    b, c = space.ordered[1:]
    assert b.exists({"a": True})
    assert not b.exists({"a": 1}), "true is not 1"
    assert c.exists({"a": True, "b": 2})
    assert not c.exists({"a": True, "b": 3})
    assert not c.exists({"a": 1})
