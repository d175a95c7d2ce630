"""What is written is YAML with a reason above each choice."""

from typing import Any

import pytest
import yaml

from lightning_recipes.suggest.choices import Choice
from lightning_recipes.suggest.recipe_text import recipe_text

STAGE = {"name": "head", "epochs": 3, "lr": 0.003, "cache_features": True}


@pytest.mark.parametrize(
    "value",
    [
        "my images: #1",
        "yes",
        "1e-3",
        "größe/ä.csv",
        None,
        False,
        1e-5,
        [0.5, 0.5],
        {"name": "light", "flip": False},
        "a" * 300,
    ],
)
def test_every_value_is_read_as_it_was_given(value: Any) -> None:
    read = yaml.safe_load(recipe_text(["a: b"], [Choice("data.root", value, "why: #1")], [(STAGE, "first")]))
    assert read["data"] == {"root": value}
    assert read["trainer"]["callbacks"][0]["init_args"]["stages"] == [STAGE]


def test_reasons_stand_above_their_keys_and_lines_are_not_longer_than_an_editor_is_wide() -> None:
    long = "because " * 40
    text = recipe_text(["Heading."], [Choice("model.backbone", "resnet18", long)], [(STAGE, "first the head")])
    lines = text.splitlines()
    assert lines[0] == "# Heading."
    assert lines[lines.index("  backbone: resnet18") - 1].startswith("  # because")
    assert (
        lines[[line.strip().startswith("- {name: head") for line in lines].index(True) - 1].strip()
        == "# first the head"
    )
    assert max(map(len, lines)) <= 120
