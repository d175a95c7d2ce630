"""``generate``: pictures of a checkpoint in class folders, the same for the same seed, and nothing half-written."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lightning_recipes as lr
from lightning_recipes.__main__ import main
from lightning_recipes.generation.generate import generate
from lightning_recipes.randomness import seed_for
from tests.small import digits, fit

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("run"))


def trained(folder: Path, *, channels: int = 1, names: list[str] | None = NAMES) -> Path:
    torch.manual_seed(1)
    module = lr.ConditionalGAN(10, image_size=8, in_chans=channels, class_names=names, latent_size=4, width=4)
    options: dict[str, Any] = {"max_epochs": 1, "enable_checkpointing": True, "default_root_dir": folder}
    data = digits(image_size=8, channels=channels, augment="none")
    fit(module, data, lr.BestCheckpoint(), **options)
    return folder / "checkpoints" / "best.ckpt"


def shas(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def command(*words: str | Path) -> int:
    return main(["generate", *map(str, words)])


def test_it_writes_class_folders_that_can_be_trained_on(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert command("--ckpt_path", checkpoint, "--out", out, "--images_per_class", "11") == 0
    assert sorted(one.name for one in out.iterdir() if one.is_dir()) == NAMES
    assert sorted(one.name for one in (out / "bee").iterdir())[::5] == ["00.png", "05.png", "10.png"]
    said = json.loads((out / "generated.json").read_text())
    assert said["images"] == dict.fromkeys(NAMES, 11)
    assert (said["seed"], len(said["weights_sha256"])) == (0, 64)
    opened = lr.ImageDataModule(str(out), image_size=8, channels=1, val_fraction=0.2, num_workers=0)
    assert (opened.classes, sum(opened.class_counts)) == (NAMES, 90)


def test_the_files_are_what_the_module_makes(checkpoint: Path, tmp_path: Path) -> None:
    generate(str(checkpoint), str(tmp_path / "made"), images_per_class=2, classes="cat")
    made = lr.load(checkpoint).generate(torch.full((2,), NAMES.index("cat")), seed_for("class", 2, seed=0))
    for number, image in enumerate(made):
        with Image.open(tmp_path / "made" / "cat" / f"{number}.png") as read:
            assert np.array_equal(np.asarray(read), image[0].numpy())


def test_the_same_seed_gives_the_same_files_whichever_other_classes_are_made(checkpoint: Path, tmp_path: Path) -> None:
    for name, words in {"a": (), "b": (), "c": ("--seed", "1"), "d": ("--classes", "dog, bee")}.items():
        assert command("--ckpt_path", checkpoint, "--out", tmp_path / name, "--images_per_class", "3", *words) == 0
    a, b, c, d = (shas(tmp_path / name) for name in "abcd")
    assert a == b
    assert not set(a.values()) & set(c.values())
    d.pop("generated.json")
    assert {name.split("/")[0] for name in d} == {"bee", "dog"}
    assert d.items() <= a.items()


def test_three_channels_and_no_names(tmp_path: Path) -> None:
    made = trained(tmp_path / "run", channels=3, names=None)
    assert command("--ckpt_path", made.parents[1], "--out", tmp_path / "made", "--images_per_class", "1") == 0
    with Image.open(tmp_path / "made" / "7" / "0.png") as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--images_per_class", "0"), "generate.images_per_class: 0 is not a number from 1 to 1,000,000"),
        (("--seed", "-1"), "generate.seed: -1 is not a number >= 0"),
        (("--classes", "ant,bees"), "classes: 'bees' is none of ant, bee"),
        (("--classes", ""), "classes: '' is none of"),
    ],
)
def test_wrong_values_are_refused_in_a_line(
    words: tuple[str, ...], said: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--ckpt_path", checkpoint, "--out", tmp_path / "made", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lightning-recipes: {said}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_touched(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert command("--ckpt_path", checkpoint, "--out", tmp_path) == 2
    assert "is there already; give a new folder" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert command("--ckpt_path", checkpoint, "--out", tmp_path / "empty", "--images_per_class", "1") == 0


def test_checkpoints_that_make_nothing_and_commands_that_tell_nothing_apart(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--ckpt_path", tmp_path / "none.ckpt", "--out", tmp_path / "made") == 2
    assert "none.ckpt" in capsys.readouterr().err
    assert command("--out", tmp_path / "made") == 2
    assert "ckpt_path: not given; give --ckpt_path" in capsys.readouterr().err
    torch.manual_seed(1)
    options: dict[str, Any] = {"max_epochs": 1, "enable_checkpointing": True, "default_root_dir": tmp_path}
    fit(lr.ImageClassifier("test_resnet", 10, pretrained=False), digits(), lr.BestCheckpoint(), **options)
    classifier = tmp_path / "checkpoints" / "best.ckpt"
    assert command("--ckpt_path", classifier, "--out", tmp_path / "made") == 2
    assert "is of the class ImageClassifier, which makes no images" in capsys.readouterr().err
    for name in ("validate", "predict", "export"):
        more = ["--out", str(tmp_path / "made")] if name == "export" else []
        assert main([name, "--ckpt_path", str(checkpoint), *more]) == 2
        assert "ConditionalGAN, which makes images" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
