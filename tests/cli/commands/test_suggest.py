"""The command that writes a recipe: what it takes and refuses, and that what it writes is trained."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_recipes.__main__ import main

SMALL = ["--model.backbone", "test_resnet", "--model.pretrained", "embedded:letters", "--data.image_size", "32"]
OWN = """
from typing import Any
from lightning_recipes import ImageClassifier

class Mine(ImageClassifier):
    def __init__(self, backbone: str, num_classes: int, extra: int = 1, **options: Any) -> None:
        super().__init__(backbone, num_classes, **options)
        self.save_hyperparameters()
"""


def suggest(*words: str) -> int:
    return main(["suggest", *words])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suggested") / "recipe.yaml"
    more = ["--data.val_fraction", "0.5", "--model.dropout=0.1", "--trainer.gradient_clip_val", "1"]
    assert suggest("sklearn:digits", "--minutes", "0.2", "--out", str(path), *SMALL, *more) == 0
    return path


@pytest.fixture(scope="module")
def keys(recipe: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    return read


def test_what_is_given_goes_into_the_recipe_as_it_is(keys: dict[str, Any]) -> None:
    assert keys["data"]["root"] == "sklearn:digits"
    assert keys["data"]["image_size"] == 32
    assert keys["data"]["val_fraction"] == 0.5
    assert keys["model"]["backbone"] == "test_resnet"
    assert keys["model"]["pretrained"] == "embedded:letters"
    assert keys["model"]["dropout"] == 0.1
    assert keys["trainer"]["gradient_clip_val"] == 1


def test_digits_are_not_mirrored_and_the_head_comes_first(keys: dict[str, Any]) -> None:
    assert keys["data"]["augment"] == {"name": "light", "flip": False}
    assert keys["trainer"]["callbacks"][0]["init_args"]["stages"][0]["train"] == "head"


def test_the_file_says_what_was_found_and_how_it_is_trained(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    assert "899 training images of 10 classes (87 to 91 of each), 898 for validation" in " ".join(text.split("\n# "))
    assert "# lightning-recipes fit --config recipe.yaml\n" in text


def test_it_is_an_ordinary_recipe(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", str(recipe), "--trainer.fast_dev_run", "true"]) == 0
    assert "the recipe works from end to end" in capsys.readouterr().out


def test_a_model_of_ones_own_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_suggested.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "recipe.yaml"
    own = ["--model", "mine_suggested.Mine", "--model.extra", "3"]
    few = ["--data.images_per_class", "8"]
    assert suggest("sklearn:digits", "--out", str(path), "--minutes", "0.1", *own, *SMALL, *few) == 0
    model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
    assert model["class_path"] == "mine_suggested.Mine"
    assert model["init_args"]["extra"] == 3
    assert main(["fit", "--config", str(path), "--trainer.fast_dev_run", "true"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "r.yaml"], "name the data first"),
        (["sklearn:digits"], "out: not given; name the file to write"),
        (["sklearn:digits", "--out", "r.yaml", "--minutes", "0"], "minutes: 0.0 is not a number > 0"),
        (["sklearn:digits", "--out", "r.yaml", "--minutes", "nan"], "minutes: 'nan' is not of type float"),
        (["sklearn:digits", "--out", "there.yaml"], "out: 'there.yaml' exists; name another file"),
        (["sklearn:digits", "--out", "there.yaml/r.yaml"], "out: 'there.yaml' cannot be written"),
        (["no_such_folder", "--out", "r.yaml"], "'no_such_folder' does not exist"),
        (
            ["sklearn:digits", "--out", "r.yaml", "--config", "quickstart"],
            "config: suggest writes a recipe and takes none",
        ),
        (
            ["sklearn:digits", "--out", "r.yaml", "--backbones", "test_resnet,test_resnet_of_ours"],
            "test_resnet_of_ours",
        ),
    ],
)
def test_what_cannot_work_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there.yaml").write_text("mine\n")
    assert suggest(*words, *SMALL) == 2
    error = capsys.readouterr().err
    assert error.startswith("lightning-recipes: ")
    assert said in error
    assert error.count("\n") == 1
    assert Path("there.yaml").read_text() == "mine\n"
    assert not Path("r.yaml").exists()


def test_of_several_backbones_the_better_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    words = ["--model.pretrained", "false", "--data.image_size", "32", "--data.images_per_class", "8"]
    assert (
        suggest(
            "sklearn:digits", "--out", str(path), "--backbones", "test_vit, test_resnet", "--minutes", "0.2", *words
        )
        == 0
    )
    text = path.read_text(encoding="utf-8")
    chosen = yaml.safe_load(text)["model"]["backbone"]
    other = ({"test_vit", "test_resnet"} - {chosen}).pop()
    assert f"; {other} " in text
