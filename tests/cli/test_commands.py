"""The table of commands: each row is what its class says, and a command more costs a file and a row."""

import re
from pathlib import Path

import pytest
import timm
from lightning.pytorch import cli as lightning_cli

from lightning_recipes.__main__ import main
from lightning_recipes.cli.commands import COMMANDS, Row, load_command, recipe_command
from lightning_recipes.cli.commands.recipe_command import RecipeCommand
from lightning_recipes.cli.key_help import command_help, used_most

RECIPE = """
data: {root: "sklearn:digits", images_per_class: 4, image_size: 32, batch_size: 10}
model: {backbone: test_resnet, pretrained: false}
"""


class CountParameters(RecipeCommand):
    """All that a command on a recipe needs."""

    name = "count_parameters"
    needs = "--config RECIPE"
    used_most = ("config", "at_least", "model.backbone")

    def resolve(self) -> None:
        """It writes nothing."""
        self.run_folder = Path(".")

    def run(self, at_least: int = 0) -> None:
        """Count the parameters of a recipe's model.

        Args:
            at_least: Count only those of so many numbers.
        """
        sizes = [p.numel() for p in self.model.parameters() if p.numel() >= at_least]
        print(f"{sum(sizes)} in {len(sizes)} tensors for {self.datamodule.num_classes} classes")


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a command that is in no table but this test's."""
    row = Row(f"{__name__}:CountParameters", "Count the parameters of a recipe's model.")
    monkeypatch.setitem(COMMANDS, "count_parameters", row)
    (tmp_path / "small.yaml").write_text(RECIPE)
    return ["count-parameters", "--config", str(tmp_path / "small.yaml")]


def test_a_command_more_costs_a_class_and_a_row(one_more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*one_more, "--at_least", "100"]) == 0
    sizes = [p.numel() for p in timm.create_model("test_resnet", num_classes=10).parameters() if p.numel() >= 100]
    assert capsys.readouterr().out.strip() == f"{sum(sizes)} in {len(sizes)} tensors for 10 classes"


def test_it_is_in_the_help_and_has_one_of_its_own(one_more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "  count-parameters Count the parameters of a recipe's model.\n" in capsys.readouterr().out
    assert main(["count-parameters", "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Usage: lightning-recipes count-parameters --config RECIPE [--key value ...]\n")
    assert "  --at_least               Count only those of so many numbers (default: 0).\n" in said
    assert main(["count-parameters", "--help", "at_least"]) == 0
    assert "(default: 0)" in capsys.readouterr().out


def test_its_mistakes_are_answered_with_its_own_keys(one_more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*one_more, "--at_leest", "3"]) == 2
    assert "--at_leest: there is no such option; did you mean at_least?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["validate", "test", "predict", "explain"])
def test_an_evaluation_without_anything_asks_for_the_checkpoint(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 2
    assert capsys.readouterr().err.startswith(f"lightning-recipes: ckpt_path: {name} needs the weights to use; give ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_leads_to_a_class_of_its_name(name: str) -> None:
    command = load_command(name)
    assert command.__dict__["name"] == name
    assert callable(command.main)
    if issubclass(command, RecipeCommand):
        assert used_most(name) == command.used_most, "--help reads them off the source"
        assert f"{command.needs} [--key value" in command_help(name)


def test_a_recipe_names_our_classes_without_their_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = "trainer: {callbacks: [{class_path: SnapshotEnsemble}, {class_path: OnPlateau}]}\n"
    (tmp_path / "small.yaml").write_text(RECIPE + callbacks)
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(tmp_path / "small.yaml"), "--print_config"])
    assert "class_path: lightning_recipes.OnPlateau" in capsys.readouterr().out


def test_a_recipe_that_lists_a_recorder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = "{class_path: lightning_recipes.RunRecorder, init_args: {folder: x}}"
    callbacks = f"trainer: {{max_epochs: 1, callbacks: [{recorder}]}}\n"
    (tmp_path / "small.yaml").write_text(RECIPE + callbacks)
    assert main(["fit", "--config", str(tmp_path / "small.yaml"), "--run_dir", str(tmp_path / "run")]) == 2
    said = "trainer.callbacks: every run of the command line has a RunRecorder; leave it out"
    assert said in capsys.readouterr().err


def test_lightnings_parser_is_used_by_its_public_hooks_alone() -> None:
    """Each name of LightningCLI that a command overrides or hands over; one that is gone has moved in Lightning."""
    hooks = ("add_core_arguments_to_parser", "add_arguments_to_parser", "parse_arguments")
    for hook in (*hooks, "before_instantiate_classes", "instantiate_classes"):
        assert hasattr(lightning_cli.LightningCLI, hook), f"LightningCLI.{hook} has moved"
    for file in Path(recipe_command.__file__).parent.glob("*.py"):
        used = re.findall(r"self\.(_[a-z]\w*)", file.read_text())
        assert not [name for name in used if hasattr(lightning_cli.LightningCLI, name)], file
