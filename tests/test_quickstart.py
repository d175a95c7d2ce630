"""The quickstart does what its head says: real transfer, with a margin over training from scratch."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_recipes.__main__ import main
from lightning_recipes.cli.packaged import name_recipes
from lightning_recipes.run.reader import RunContents
from tests.small import UNREPORTED
from tests.wandb_file import sessions

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
RECIPES = sorted(CONFIGS.rglob("*.yaml"))


def train(folder: Path, *words: str) -> Path:
    options = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    assert main(["fit", "--config", str(CONFIGS / "quickstart.yaml"), "--run_dir", str(folder), *options, *words]) == 0
    return folder


def accuracy(folder: Path) -> float:
    return float(json.loads((folder / "summary.json").read_text())["val_accuracy"])


# The same training, judged four times in place of forty: to judge it takes most of its time.
SELDOM = ["--trainer.check_val_every_n_epoch", "10"]
SCRATCH = ["--model.pretrained", "false", "--trainer.logger", "false", *UNREPORTED]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # whose commit is in the environment
        yield train(tmp_path_factory.mktemp("quickstart") / "run", "--wandb.mode", "offline", *SELDOM)


def test_a_backbone_that_knows_letters_learns_digits_from_five_of_each(quickstart: Path) -> None:
    assert accuracy(quickstart) >= 0.90


@pytest.mark.slow
def test_the_recipe_as_it_is_reaches_it_too_and_from_scratch_falls_short(tmp_path: Path) -> None:
    whole, scratch = train(tmp_path / "run", *UNREPORTED), train(tmp_path / "scratch", *SCRATCH)
    assert accuracy(whole) >= 0.90
    assert accuracy(whole) >= accuracy(scratch) + 0.10
    assert not (scratch / "wandb").exists()


def test_the_run_folder_holds_everything_and_wandb_has_all_of_it(quickstart: Path) -> None:
    contents = RunContents(quickstart)
    for name in (
        "config.yaml", "environment.json", "metrics.csv", "summary.json", "val_predictions.csv", "errors.json",
        "label_issues.csv", "report.html", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
    ):  # fmt: skip
        assert (quickstart / name).stat().st_size > 0, name
    figures = {"schedule", "curves", "confusion", "calibration", "gradcam"}
    assert figures <= set(contents.figures)
    (run,) = sessions(quickstart)
    assert run.name == "quickstart/run"
    assert run.exit_code == 0
    assert run.config["recipe"] == contents.recipe
    assert run.config["environment"]["git"] == contents.environment["git"]
    assert {name.split("/")[0] for name in run.summary} >= {
        *figures, "head", "all", "lr", "gradient_norm", "throughput", "run", "diagnosis",
        "predictions", "confusion_matrix", "classes", "gradcam_mistakes", "label_issues",
    }  # fmt: skip
    assert run.summary["predictions/nrows"] == len(contents.predictions) == 898
    assert run.summary["gradcam_mistakes/nrows"] == len(contents.mistakes) == 25
    assert run.summary["run/val_accuracy"] == contents.summary["val_accuracy"]
    assert [aliases for name, aliases, _ in run.artifacts if name.endswith("-best")]
    assert float(contents.metrics[-1]["epoch"]) == run.column("epoch")[-1] == 39


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_what_to_expect_and_is_a_valid_recipe(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = path.read_text()
    assert "# Expected: " in text
    command = "pretrain" if path.parent.name == "pretrain" else "fit"
    assert f"# lightning-recipes {command} --config configs/{path.relative_to(CONFIGS).as_posix()}" in text
    assert len(text.splitlines()) <= 60
    with pytest.raises(SystemExit) as leave:
        main([command, "--config", str(path), "--print_config"])
    assert leave.value.code == 0
    kinds = {"gan": "ConditionalGAN", "pretrain": "PretrainingModule"}
    kind = kinds.get(path.parent.name, "ImageClassifier")
    assert f"class_path: lightning_recipes.{kind}" in capsys.readouterr().out


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
