"""The quickstart does what its head says: real transfer, with a margin over training from scratch."""

import difflib
import json
from pathlib import Path

import pytest

from lightning_recipes.__main__ import main
from lightning_recipes.packaged import name_recipes

CONFIGS = Path(__file__).parents[1] / "configs"
RECIPES = sorted(CONFIGS.rglob("*.yaml"))


def accuracy(folder: Path, *words: str) -> float:
    options = ["--trainer.logger", "false", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    assert main(["fit", "--config", str(CONFIGS / "quickstart.yaml"), "--run_dir", str(folder), *options, *words]) == 0
    return float(json.loads((folder / "summary.json").read_text())["val_accuracy"])


def test_a_backbone_that_knows_letters_learns_digits_from_five_of_each(tmp_path: Path) -> None:
    transferred = accuracy(tmp_path / "transfer")
    from_scratch = accuracy(tmp_path / "scratch", "--model.pretrained", "false")
    assert transferred >= 0.90
    assert transferred >= from_scratch + 0.10


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_what_to_expect_and_is_a_valid_recipe(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = path.read_text()
    assert "# Expected: " in text
    assert f"# lightning-recipes fit --config configs/{path.relative_to(CONFIGS).as_posix()}" in text
    assert len(text.splitlines()) <= 60
    with pytest.raises(SystemExit) as leave:
        main(["fit", "--config", str(path), "--print_config"])
    assert leave.value.code == 0
    assert "class_path: lightning_recipes.ImageClassifier" in capsys.readouterr().out


FAMILIES = [
    (CONFIGS / family / f"{first}.yaml", path)
    for family, first in (("decay", "constant"), ("ablations", "baseline"))
    for path in sorted((CONFIGS / family).glob("*.yaml"))
    if path.stem != first
]


@pytest.mark.parametrize(("first", "path"), FAMILIES, ids=lambda path: path.stem)
def test_a_recipe_of_a_family_differs_from_the_first_in_one_line(first: Path, path: Path) -> None:
    one, other = ([t for t in f.read_text().splitlines() if not t.startswith("#")] for f in (first, path))
    changes = [line for line in difflib.ndiff(one, other) if line[0] in "+-"]
    assert [line[0] for line in changes] in (["-", "+"], ["+"])


def test_a_recipe_in_a_folder_is_named_with_it() -> None:
    assert name_recipes(["fit", "--config", "decay/step"]) == ["fit", "--config", str(CONFIGS / "decay/step.yaml")]
