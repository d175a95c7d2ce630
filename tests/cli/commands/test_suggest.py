"""The command that writes a recipe: what it takes and refuses, and that what it writes is trained."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from lightning_recipes.__main__ import main
from lightning_recipes.suggest.data_facts import data_facts

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
    assert f"lightning-recipes fit --config {recipe}" in " ".join(text.split("\n# "))


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
        (["my: images", "--out", "r.yaml"], "data.root: a path with ': ' is read as a mapping"),
        (["no_such_folder", "--out", "r.yaml"], "'no_such_folder' does not exist"),
        (
            ["sklearn:digits", "--out", "r.yaml", "--config", "quickstart"],
            "config: suggest writes a recipe and takes none",
        ),
        (
            ["sklearn:digits", "--out", "r.yaml", "--backbones", "test_resnet,test_resnet_of_ours"],
            "backbones: 'test_resnet_of_ours' is not a timm model",
        ),
        (["sklearn:digits", "--out", "r.yaml", "--backbones", ", "], "backbones: no name is given"),
        (["sklearn:digits", "--out", "r.yaml", "--trainer.max_epochs", "2"], "trainer.max_epochs: is part of what is"),
        (["sklearn:digits", "--out", "r.yaml", "--data.batch_size", "all"], "data.batch_size: suggest takes a number"),
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


def test_every_key_that_is_typed_is_in_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    section = "{images_per_class: 8, augment: none, image_size: 32}"
    more = [
        "--seed_everything",
        "7",
        "--views",
        "flip",
        "--best_checkpoint.monitor=val_loss",
        "--best_checkpoint.mode=min",
    ]
    rates = ["--model.lr", "0.0002", "--data.batch_size", "7", "--data", section]
    assert suggest("sklearn:digits", "--out", str(path), "--minutes", "5", *SMALL, *more, *rates) == 0
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (read["seed_everything"], read["views"]) == (7, "flip")
    assert read["best_checkpoint"] == {"monitor": "val_loss", "mode": "min"}
    assert read["data"]["batch_size"] == 7
    assert (read["data"]["images_per_class"], read["data"]["augment"]) == (8, "none")
    assert read["model"]["lr"] == 0.0002
    every = read["trainer"]["callbacks"][0]["init_args"]["stages"][1]
    assert (every["name"], "lr" in every) == ("all", False)  # the model's counts
    assert main(["fit", "--config", str(path), "--trainer.fast_dev_run", "true"]) == 0


def colours(folder: Path, counts: dict[str, int]) -> Path:
    """Pictures of one colour a class."""
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (16, 16), (number * 3, 10 * (i % 20), 255 - number)).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    "counts", [{f"c{i}": 4 for i in range(60)}, {"one": 3, "many": 60}, {"a: b #1": 6, "ä'\"%": 9}]
)
def test_many_classes_and_small_ones_and_any_name(counts: dict[str, int], tmp_path: Path) -> None:
    root, path = colours(tmp_path / "dä ta #1", counts), tmp_path / "o ut.yaml"
    assert suggest(str(root), "--out", str(path), "--minutes", "0.1", *SMALL, "--data.batch_size", "8") == 0
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["data"]["root"] == str(root)
    assert "dä ta #1" in text
    assert main(["fit", "--config", str(path), "--trainer.fast_dev_run", "true"]) == 0


def test_too_few_images_to_tell_anything_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = colours(tmp_path / "few", {"a": 2, "b": 2})
    assert suggest(str(root), "--out", "r.yaml", "--data.val_fraction", "0.5", *SMALL) == 2
    assert "fewer than two classes have two training images" in capsys.readouterr().err


def test_a_file_that_appears_meanwhile_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"

    def meanwhile(data: Any) -> Any:
        path.write_text("mine\n")
        return data_facts(data)

    monkeypatch.setattr("lightning_recipes.suggest.measure.data_facts", meanwhile)
    assert (
        suggest("sklearn:digits", "--out", str(path), "--minutes", "0.1", *SMALL, "--data.images_per_class", "8") == 2
    )
    assert path.read_text() == "mine\n"


@pytest.mark.filterwarnings("ignore:Memory Efficient attention")  # torch on a GPU: it is not deterministic
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
