"""In what recipes differ."""

from typing import Any

import pytest

from lightning_recipes.comparison.recipes import differences

ONE: dict[str, Any] = {
    "seed_everything": 0,
    "run_dir": "runs/a",
    "model": {"class_path": "lightning_recipes.ImageClassifier", "init_args": {"lr": 0.1, "loss": {"name": "focal"}}},
    "trainer": {
        "callbacks": [
            {
                "class_path": "lightning_recipes.Stages",
                "init_args": {"stages": [{"name": "head", "lr": 0.1}, {"name": "all", "lr": 0.01}]},
            },
            {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.99}},
        ]
    },
}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    def copy(node: Any, path: list[Any]) -> Any:
        if not path:
            return value
        made = list(node) if isinstance(node, list) else dict(node)
        made[path[0]] = copy(node[path[0]], path[1:])
        return made

    made: dict[str, Any] = copy(ONE, path)
    return made


@pytest.mark.parametrize(
    ("path", "value", "key", "a", "b"),
    [
        (["model", "init_args", "lr"], 0.2, "model.lr", 0.1, 0.2),
        (["model", "init_args", "loss", "name"], "poly", "model.loss.name", "focal", "poly"),
        (
            ["trainer", "callbacks", 0, "init_args", "stages", 1, "lr"],
            0.5,
            "trainer.callbacks[Stages].stages[all].lr",
            0.01,
            0.5,
        ),
        (["trainer", "callbacks", 1, "init_args", "decay"], 0.9, "trainer.callbacks[EMA].decay", 0.99, 0.9),
        (["model", "class_path"], "mine.Net", "model", "ImageClassifier", "Net"),
        (["trainer", "callbacks"], ONE["trainer"]["callbacks"][:1], "trainer.callbacks[EMA]", "EMA", None),
        (
            ["trainer", "callbacks"],
            ONE["trainer"]["callbacks"][::-1],
            "trainer.callbacks (order)",
            ["Stages", "EMA"],
            ["EMA", "Stages"],
        ),
    ],
)
def test_each_is_one_key_as_it_is_typed(path: list[Any], value: Any, key: str, a: Any, b: Any) -> None:
    found = differences(ONE, changed(path, value))
    assert [(one.key, one.a, one.b) for one in found] == [(key, a, b)]
    back = differences(changed(path, value), ONE)
    assert [(one.key, one.a, one.b) for one in back] == [(key, b, a)]


def test_seed_and_folder_are_no_difference() -> None:
    assert differences(ONE, ONE | {"seed_everything": 7, "run_dir": "runs/b", "wandb": {"mode": "online"}}) == []


def test_two_callbacks_of_a_class_are_told_apart() -> None:
    ema = {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.5}}
    twice = changed(["trainer", "callbacks"], [*ONE["trainer"]["callbacks"], ema])
    assert [one.key for one in differences(ONE, twice)] == [
        "trainer.callbacks[EMA]",  # one by its class, two by their places, as a search names them
        "trainer.callbacks[1]",
        "trainer.callbacks[2]",
    ]
    assert [one.key for one in differences(changed(["trainer", "callbacks"], None), ONE)] == [
        "trainer.callbacks[Stages]",
        "trainer.callbacks[EMA]",
    ]
