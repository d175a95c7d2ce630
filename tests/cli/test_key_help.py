"""Help that is read off the source in an instant, against the classes themselves."""

import inspect
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import Trainer

import lightning_recipes
from lightning_recipes.__main__ import COMMANDS, main
from lightning_recipes.cli.key_help import SECTIONS, key_help, used_most
from lightning_recipes.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_lists_what_its_class_takes_with_its_defaults(section: str) -> None:
    name = SECTIONS[section]
    kind = Trainer if name == "Trainer" else getattr(lightning_recipes, name)
    shown = key_help("fit", section)
    for key, parameter in inspect.signature(kind.__init__).parameters.items():
        if key in ("self", "kwargs"):
            continue
        one = " ".join(key_help("fit", f"{section}.{key}").split())
        assert one.startswith(f"--{section}.{key} ")
        assert f"  --{section}.{key} " in shown
        assert len(one) > len(f"--{section}.{key} ") + 10, "the docstring says nothing of it"
        if section != "trainer" and parameter.default not in (None, parameter.empty) and "(default: " in one:
            default = one.rpartition("(default: ")[2].removesuffix(").")
            assert yaml.safe_load(default) == parameter.default or default == str(parameter.default)


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in ("compare", "generate", "inspect", "prepare", "serve")]
)
def test_the_keys_used_most_fit_on_a_screen(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: lightning-recipes {command.replace('_', '-')} ")
    assert all(f"  --{key} " in text for key in used_most(command))
    assert len(text.splitlines()) < 60
    assert max(len(line) for line in text.splitlines()) <= 100


def test_help_on_a_class_of_a_recipe_lists_its_arguments() -> None:
    assert "  cache_features " in key_help("fit", "Stage")
    assert key_help("fit", "lightning_recipes.EMA") == key_help("fit", "EMA")
    assert "  decay " in key_help("fit", "EMA")


def test_a_key_that_is_not_there_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"model.lrr: there is no such key; did you mean model.lr\b"):
        key_help("fit", "model.lrr")
    assert main(["fit", "--help", "data.roots"]) == 2
    assert "data.roots: there is no such key; did you mean data.root" in capsys.readouterr().err


def test_all_keys_are_those_of_the_real_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help", "all"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{key}" in text for key in used_most("fit") if not key.startswith(("data.", "model.")))
