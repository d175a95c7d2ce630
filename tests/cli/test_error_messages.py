"""Mistakes in a recipe's file and on the command line: each ends in one line that says where and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lightning_recipes.__main__ import main
from lightning_recipes.cli.packaged import packaged_recipes
from lightning_recipes.cli.recipe_file import check_recipe_file
from lightning_recipes.errors import UserError
from tests.small import SMALL

CALLBACK = "    - class_path: lightning_recipes.Stages"
STAGES = SMALL[SMALL.index(CALLBACK) :]
ENDLESS = SMALL[: SMALL.index("  callbacks:")]


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def with_callback(text: str) -> str:
    return changed(CALLBACK, f"    - {text}\n{CALLBACK}")


def twice(name: str, arguments: str = "{}") -> str:
    one = f"{{class_path: lightning_recipes.{name}, init_args: {arguments}}}"
    return with_callback(f"{one}\n    - {one}")


NO_RECIPES: dict[str, tuple[str | bytes, str]] = {
    "a key twice": (changed("model: {", "model: {lr: 0.1, lr: 0.2, "), "model.lr is given twice, in line 4; keep one"),
    "a section twice": (SMALL + "model: {backbone: resnet18}\n", "model is given twice, in lines 4 and 17; keep one"),
    "a stage's key twice": (
        changed("epochs: 2,", "epochs: 2, epochs: 3,"),
        "trainer.callbacks[0].init_args.stages[0].epochs is given twice, in line 15; keep one",
    ),
    "a binary file": (bytes(range(256)), "not text in UTF-8 (byte 128); give a recipe in YAML"),
    "another encoding": (SMALL.encode("utf-16"), "not text in UTF-8 (byte 0)"),
    "zeros": (b"\0\0\0", "line 1: a control character"),
    "a tab": (changed("  accelerator", "\taccelerator"), "line 7, column 1: a tab; YAML is indented with spaces"),
    "an open quote": (SMALL + 'recipe: "abc\n', "line 17, column 9: a quote opens here and does not close; close it"),
    "a quote that the next one closes": (
        changed('"sklearn:digits"', '"sklearn:digits'),
        "line 4, column 45: expected ',' or '}', but got 'a value' (while parsing a flow mapping that begins at line 3",
    ),
    "an open bracket": (changed("num_workers: 0}", "num_workers: 0"), "flow mapping that begins at line 3, column 7"),
    "an unknown alias": (SMALL + "recipe: *zz\n", "line 17, column 9: undefined alias"),
    "a foreign tag": ("a: !!python/object:os.system x\n", "line 1, column 4: there is no tag"),
    "two documents": (SMALL + "---\na: 3\n", "line 17, column 1: a second document begins"),
    "a mapping as a key": (SMALL + "{a: 1}: 3\n", "line 17, column 1: a key is a name"),
    "a number as a key": (SMALL + "3: 3\n", "line 17, column 1: '3' is no key"),
    "an empty file": ("", "the file is empty; a recipe is a mapping with the keys data, model and trainer"),
    "comments alone": ("# nothing\n", "the file is empty; a recipe is"),
    "a list": ("- a\n- b\n", "the file holds a list; a recipe is"),
    "a word": ("hello\n", "the file holds the text 'hello'; a recipe is"),
}


@pytest.mark.parametrize("mistake", NO_RECIPES)
def test_a_file_that_is_no_recipe_is_refused_by_file_and_place(mistake: str, tmp_path: Path) -> None:
    text, said = NO_RECIPES[mistake]
    path = tmp_path / "small.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        check_recipe_file(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", [str, lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text])
def test_recipes_of_any_line_end_are_taken(change: Callable[[str], str], tmp_path: Path) -> None:
    merged = (
        changed("          - {name: head,", "          - &head {name: head,") + "          - {<<: *head, name: b}\n"
    )
    path = tmp_path / "small.yaml"
    path.write_bytes(change(merged).encode())
    check_recipe_file(path)


def test_the_recipes_of_the_package_are_recipes() -> None:
    for path in packaged_recipes().values():
        check_recipe_file(path)


MISTAKES: dict[str, tuple[str, list[str], str]] = {
    "a doubled key": (changed("model: {", "model: {lr: 1, lr: 2, "), [], "small.yaml: model.lr is given twice"),
    "a negative seed": (SMALL, ["--seed_everything", "-1"], "seed_everything: -1 is not a number from 0 to"),
    "a seed that is too large": (SMALL, ["--seed_everything", str(2**32)], "seed_everything: 4294967296 is not"),
    "a long name": (SMALL, ["--run_dir", "x" * 300], "run_dir: a name of 300 letters is longer than"),
    "a long path": (SMALL, ["--run_dir", "/".join(["x" * 200] * 25)], "run_dir: a name of "),
    "a folder that takes none": (SMALL, ["--run_dir", "/dev/null/run"], "run_dir: '/dev/null/run' cannot be written"),
    "an empty name": (SMALL, ["--run_dir", ""], "run_dir: '' is no name of a folder"),
    "a long name of the recipe": (SMALL, ["--run_dir=null", "--recipe", "x" * 300], "recipe: a name of 300 letters"),
    "Stages without its arguments": (
        SMALL[: SMALL.index("      init_args")],
        [],
        "trainer.callbacks.stages: not given; lightning_recipes.Stages needs it",
    ),
    "keys beside class_path": (
        with_callback("{class_path: lightning_recipes.EMA, decay: 0.9}"),
        [],
        "put them under init_args, as in {class_path: ..., init_args: {...}}",
    ),
    "a model's keys beside class_path": (
        changed("model: {", "model: {class_path: lightning_recipes.ImageClassifier, "),
        [],
        "model.class_path: other keys stand beside it; put them under init_args",
    ),
    "lr at the top": (SMALL + "lr: 0.1\n", [], "lr: there is no such key; did you mean model.lr?"),
    "lr at the top, typed": (SMALL, ["--lr", "0.1"], "--lr: there is no such option; did you mean model.lr?"),
    "batch_size of the model": (
        changed("model: {", "model: {batch_size: 8, "),
        [],
        "model.batch_size: there is no such key; did you mean data.batch_size?",
    ),
    "batch_size of the model, typed": (SMALL, ["--model.batch_size", "8"], "did you mean data.batch_size?"),
    "callbacks at the top": (
        SMALL + "callbacks: []\n",
        [],
        "callbacks: there is no such key; did you mean trainer.callbacks?",
    ),
    "epochs at the top": (SMALL + "epochs: 3\n", [], "epochs: there is no such key; did you mean trainer.max_epochs?"),
    "a slip in a section, typed": (
        SMALL,
        ["--modell.lr", "3"],
        "--modell.lr: there is no such option; did you mean model.lr?",
    ),
    "a slip in a section": (
        changed("model: {", "modell: {"),
        [],
        "modell.backbone: there is no such key; did you mean model.backbone?",
    ),
    "a slip in a class": (
        changed("lightning_recipes.Stages", "lightning_recipes.Stagess"),
        [],
        "there is no 'Stagess' in 'lightning_recipes'; did you mean lightning_recipes.Stages?",
    ),
    "a slip in a class by its name": (
        changed("lightning_recipes.Stages", "Stagess"),
        [],
        "did you mean lightning_recipes.Stages?",
    ),
    "an option with one dash": (SMALL, ["-model.lr", "3"], "-model.lr: an option begins with two dashes"),
    "an option without its value": (SMALL, ["--model.lr"], "model: an option without its value"),
    "a word alone": (SMALL, ["foo"], "foo: is neither an option nor an option's value"),
    "nothing that ends the training": (ENDLESS, [], "trainer.max_epochs: nothing says when the training ends"),
    "Stages twice": (SMALL + STAGES, [], "trainer.callbacks: Stages is there 2 times; keep one"),
    "EMA twice": (twice("EMA"), [], "trainer.callbacks: EMA is there 2 times; keep one"),
    "Mixing twice": (twice("Mixing"), [], "trainer.callbacks: Mixing is there 2 times; keep one"),
    "SnapshotEnsemble twice": (twice("SnapshotEnsemble"), [], "SnapshotEnsemble is there 2 times; keep one"),
    "a judge of one's own": (
        with_callback("class_path: lightning_recipes.BestCheckpoint"),
        [],
        "every run has a BestCheckpoint; set it by the key best_checkpoint instead",
    ),
    "no GPU": (
        SMALL,
        ["--trainer.accelerator", "gpu"],
        "trainer.accelerator: No supported gpu backend found! This machine has none; give cpu or auto",
    ),
    "an accelerator that is none": (SMALL, ["--trainer.accelerator", "gpuu"], "trainer.accelerator: "),
    "a slip in an optimizer": (
        SMALL,
        ["--model.optimizer", "adamm"],
        "model.optimizer: neither torch nor timm has 'adamm'; did you mean adamw, adam, adamc?",
    ),
    "another name of a loss": (
        SMALL,
        ["--model.loss", "bce"],
        "did you mean binary_cross_entropy?",
    ),
    "a package that is missing": (
        SMALL,
        ["--trainer.logger", "lightning.pytorch.loggers.MLFlowLogger"],
        "lightning.pytorch.loggers.MLFlowLogger: Requirement 'mlflow>=1.0.0' not met",
    ),
    "a section that is empty": (SMALL[: SMALL.index("trainer:")] + "trainer:\n", [], "trainer: has no keys below it"),
    "no batch to accumulate": (
        SMALL,
        ["--trainer.accumulate_grad_batches", "0"],
        "trainer.accumulate_grad_batches: 0 is not a number >= 1",
    ),
    "validation at every no step": (SMALL, ["--trainer.val_check_interval", "0"], "trainer.val_check_interval: 0"),
    "arguments that are a list": (
        with_callback("{class_path: lightning_recipes.EMA, init_args: [0.9]}"),
        [],
        "trainer.callbacks.init_args: is no mapping; give each argument by its name",
    ),
    "a section that is a word": (SMALL + "best_checkpoint: true\n", [], "best_checkpoint: has no keys below it"),
    "a folder as the recipe": (SMALL, ["--config", "/"], "config: '/' is a folder; give the file of a recipe"),
    "data that are no data": (
        changed("data: {", "data: {class_path: torch.nn.ReLU, init_args: {").replace(
            "num_workers: 0}", "num_workers: 0}}"
        ),
        [],
        "data: 'torch.nn.ReLU' is not a subclass of ",
    ),
    "a data module of one's own": (
        SMALL,
        ["--data", "lightning.pytorch.demos.boring_classes.BoringDataModule"],
        "data: is not a subclass of ImageDataModule; name one that is; others are trained from Python",
    ),
}


NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")


@pytest.mark.parametrize("mistake", [pytest.param(m, marks=NO_GPU if m == "no GPU" else ()) for m in MISTAKES])
def test_a_mistake_ends_in_one_line_that_says_what_to_do(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, words, said = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(recipe)
    assert main(["fit", "--config", "small.yaml", "--run_dir", "run", *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("lightning-recipes: ")
    assert said in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_lr_find_hints_at_its_own_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    assert main(["lr-find", "--config", str(tmp_path / "small.yaml"), "--stepss", "3"]) == 2
    assert "--stepss: there is no such option; did you mean steps?" in capsys.readouterr().err


def test_commands_are_listed_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr_fnd"]) == 2
    assert "did you mean lr-find?" in capsys.readouterr().err
    assert main(["zzz"]) == 2
    assert "lr-find, explain" in capsys.readouterr().err
