"""The command that tries a recipe: what it writes, prints and returns."""

import json
from pathlib import Path

import pytest
from PIL import Image

from lightning_recipes.__main__ import main
from tests.small import SMALL

SOFTMAX = """
from torch import Tensor
from lightning_recipes import ImageClassifier

class Squashed(ImageClassifier):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(dim=1)
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL.replace("images_per_class: 4", "augment: {name: light, flip: false}, images_per_class: 6"))
    return path


def test_a_sound_recipe_passes_and_leaves_its_figures(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recipe.parent / "checked"
    assert main(["check", "--config", str(recipe), "--steps", "0", "--run_dir", str(folder)]) == 0
    found = json.loads((folder / "check.json").read_text())
    assert {tuple(one) for one in found} == {("name", "status", "measured", "expected", "advice")}
    assert {one["status"] for one in found} <= {"passed", "warned"}
    assert "0 failed" in capsys.readouterr().out
    with Image.open(folder / "figures" / "batch.png") as drawn:
        assert min(drawn.size) > 300


def test_a_mistake_ends_in_code_3_and_says_what_to_do(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe.parent / "squashed.py").write_text(SOFTMAX)
    monkeypatch.syspath_prepend(recipe.parent)
    cached = (
        recipe.read_text()
        .replace(", cache_features: true", "")
        .replace("model: {", "model: {class_path: squashed.Squashed, init_args: {")
    )
    recipe.write_text(cached.replace("freeze_norm_stats: true}", "freeze_norm_stats: true}}"))
    assert main(["check", "--config", str(recipe), "--steps", "0", "--run_dir", str(recipe.parent / "checked")]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "failed logits probabilities that add up to one" in out
    assert "Leave the softmax out of forward; the loss has it." in out


@pytest.mark.slow
def test_several_labels_are_checked_too(tmp_path: Path) -> None:
    from tests.shapes import draw_shapes

    root = draw_shapes(tmp_path / "shapes", images=60)
    given = [
        "--data.root",
        str(root),
        "--data.image_size",
        "32",
        "--data.batch_size",
        "16",
        "--model.task",
        "multilabel",
    ]
    given += ["--model.backbone", "test_resnet", "--model.pretrained", "false", "--model.lr", "0.003"]
    limits = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--images", "40", "--steps", "30"]
    assert main(["check", *given, *limits, "--run_dir", str(tmp_path / "checked")]) == 0
    names = [one["name"] for one in json.loads((tmp_path / "checked" / "check.json").read_text())]
    assert {"loss", "one_batch", "shuffled_labels"} <= set(names)  # of twelve images, a lower rate may learn sooner


def test_a_number_that_makes_no_sense_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(recipe), "--images", "1", "--run_dir", str(recipe.parent / "checked")]) == 2
    assert "images: 1 is not a number >= 2" in capsys.readouterr().err
    assert not (recipe.parent / "checked").exists()
