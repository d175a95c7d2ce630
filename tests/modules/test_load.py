"""A checkpoint is a finished model: loaded from its file alone, in every form, and refused in one line."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes import BestCheckpoint, ImageClassifier, SnapshotEnsemble, Stage, Stages
from lightning_recipes.models.backbone import create_backbone
from lightning_recipes.models.snapshot_files import find_snapshots
from tests.judging import GOOD
from tests.small import classifier, digits, fit

HEAD = Stage("head", epochs=1, train="head", lr=0.01)
NAMES = [f"digit {i}" for i in range(10)]


class TwoLayers(lr.ImageClassifier):
    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(num_features, 8), nn.ReLU(), nn.Linear(8, self.num_classes))


def trained(folder: Path, kind: Any = lr.ImageClassifier, *stages: Stage, **options: Any) -> lr.ImageClassifier:
    torch.manual_seed(1)
    model: lr.ImageClassifier = kind("test_resnet", 10, class_names=NAMES, **{**GOOD, **options})
    best = BestCheckpoint(dirpath=str(folder))
    plan = Stages(list(stages) or [HEAD])
    fit(model, digits(), plan, best, max_epochs=-1, enable_checkpointing=True, default_root_dir=str(folder))
    return model


def pictures(count: int = 3) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    source = digits().opened.splits.val
    return [source.read(i) for i in range(count)]


def test_paths_bytes_images_and_arrays_are_the_same_pictures_however_they_come(tmp_path: Path) -> None:
    trained(tmp_path)
    model = lr.load(tmp_path / "best.ckpt")
    assert not model.training
    arrays = pictures()
    for i, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    mixed = [tmp_path / "0.png", Image.open(tmp_path / "1.png"), arrays[2]]
    expected = model.predict(arrays)
    ways: list[Any] = [mixed, [str(tmp_path / f"{i}.png") for i in range(3)], np.stack(arrays), tuple(arrays)]
    ways.append([(tmp_path / f"{i}.png").read_bytes() for i in range(3)])
    for given in ways:
        for found, as_array in zip(model.predict(given), expected, strict=True):
            np.testing.assert_allclose(found.probabilities, as_array.probabilities, atol=1e-6)
    first = expected[0]
    assert first.label == NAMES[int(first.probabilities.argmax())]
    assert first.probability == pytest.approx(float(first.probabilities.max()))
    assert first.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert len(model.predict(tmp_path / "0.png")) == 1
    grey = model.predict([arrays[0][:, :, 0], arrays[0][:, :, :1]])
    np.testing.assert_allclose(grey[0].probabilities, grey[1].probabilities)


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    trained(tmp_path)
    model = lr.load(tmp_path / "best.ckpt")
    (tmp_path / "text.png").write_text("no picture")
    for given, text in (
        (tmp_path / "text.png", r"text\.png: cannot be decoded"),
        (tmp_path / "none.png", r"none\.png: cannot be read"),
        (b"no picture", r"predict: the bytes cannot be decoded \(not a picture\); give all bytes of one picture"),
        (np.zeros((8, 8, 3)), r"predict: an array of float64 and shape \(8, 8, 3\) is no image"),
        (torch.zeros(3, 8, 8), r"predict: takes paths, bytes, PIL images or arrays"),
    ):
        with pytest.raises(lr.UserError, match=text):
            model.predict(given)


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_five_lines_are_enough_where_there_is_nothing_but_the_file(
    in_process: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    trained(tmp_path)
    (tmp_path / "best.ckpt").rename(alone / "best.ckpt")
    for i, array in enumerate(pictures()):
        Image.fromarray(array).resize((90, 60)).save(alone / f"{i}.jpg")
    program = """
import glob
import lightning_recipes
model = lightning_recipes.load("best.ckpt")
for path, found in zip(names := sorted(glob.glob("*.jpg")), model.predict(names)):
    print(path, found.label, round(found.probability, 3))
"""
    monkeypatch.chdir(alone)
    if in_process:
        capsys.readouterr()
        exec(compile(program, "five lines", "exec"), {})
        said = capsys.readouterr().out
    else:
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == ["0.jpg", "1.jpg", "2.jpg"]
    assert all(" digit " in line for line in said.splitlines())


def test_a_class_of_ones_own_comes_back_with_its_head(tmp_path: Path) -> None:
    model = trained(tmp_path, TwoLayers)
    again = lr.load(tmp_path / "best.ckpt")
    assert type(again) is TwoLayers
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(images), model.eval()(images))


def test_arguments_that_a_weights_file_brings_are_in_the_checkpoint(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(2)
    save_file(
        timm.create_model("test_efficientnet", num_classes=0).state_dict(),
        str(tmp_path / "weights.safetensors"),
        metadata={"pad_type": "same", "mean": "0.4,0.4,0.4", "std": "0.3,0.3,0.3", "crop_pct": "0.9"},
    )
    model = lr.ImageClassifier("test_efficientnet", 10, pretrained=str(tmp_path / "weights.safetensors"))
    best = BestCheckpoint(dirpath=str(tmp_path))
    fit(model, digits(), Stages([HEAD]), best, max_epochs=-1, enable_checkpointing=True, default_root_dir=str(tmp_path))
    (tmp_path / "weights.safetensors").unlink()
    again = lr.load(tmp_path / "best.ckpt")
    assert again.judged_input is not None
    assert (again.judged_input.mean, again.judged_input.crop_pct) == ((0.4,) * 3, 0.9)
    images = torch.randn(2, 3, 33, 33)
    with torch.inference_mode():
        assert torch.equal(again(images), model.eval()(images))


def test_a_snapshot_and_their_folder_are_finished_models_too(tmp_path: Path) -> None:
    stage = Stage("all", epochs=2, lr=0.01, schedule={"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1})
    small, large = stage, Stage("large", epochs=1, lr=0.01, schedule=stage.schedule, image_size=48)
    torch.manual_seed(1)
    model, data = lr.ImageClassifier("test_resnet", 10, class_names=NAMES, **GOOD), digits(val_fraction=0.1)
    ensemble = SnapshotEnsemble()
    plan = Stages([small, large])
    fit(model, data, plan, ensemble, max_epochs=-1, default_root_dir=str(tmp_path))
    folder = tmp_path / "snapshots"
    members = [lr.load(snapshot.path) for snapshot in find_snapshots(folder)]
    assert [m.judged_input.image_size for m in members if m.judged_input] == [32, 32, 48]
    source = data.opened.splits.val
    images = [source.read(i) for i in range(len(source))]
    alone = np.stack([[p.probabilities for p in member.predict(images)] for member in members])
    together = np.stack([p.probabilities for p in lr.load(folder).predict(images)])
    np.testing.assert_allclose(together, alone.mean(axis=0), atol=1e-5)
    right = (together.argmax(axis=1) == np.asarray(source.labels)).mean()
    assert ensemble.result is not None
    assert ensemble.result["last"][-1]["accuracy"] == pytest.approx(right)  # what was reported of them
    single = [row["accuracy"] for row in ensemble.result["single"]]
    assert single == pytest.approx((alone.argmax(axis=2) == np.asarray(source.labels)).mean(axis=1).tolist())


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "best.ckpt").read_bytes()[:5000])
    (tmp_path / "empty.ckpt").touch()
    torch.save({"weights": torch.zeros(2)}, tmp_path / "foreign.pth")
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, tmp_path / "other.ckpt")
    for name, text in (
        ("none.ckpt", "does not exist"),
        ("cut.ckpt", "cannot be read as a checkpoint"),
        ("empty.ckpt", r"cannot be read as a checkpoint \(it is empty\)"),
        ("foreign.pth", "is no checkpoint of a run"),
        ("other.ckpt", "does not say which class it is of"),
    ):
        with pytest.raises(lr.UserError, match=rf"ckpt_path: '.*{name}' {text}"):
            lr.load(tmp_path / name)


def test_only_a_classifier_of_ours_is_made_of_what_a_file_names(tmp_path: Path) -> None:
    trained(tmp_path)
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    for name, text in (
        ("subprocess.Popen", "names subprocess.Popen, which is no ClassificationModule; it is not loaded"),
        ("not_here.Mine", "is of the class not_here.Mine, which cannot be imported here"),
    ):
        torch.save({**checkpoint, "class_path": name}, tmp_path / "other.ckpt")
        with pytest.raises(lr.UserError, match=text):
            lr.load(tmp_path / "other.ckpt")


def test_a_head_is_restored_for_the_same_classes_whatever_its_shape(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = trained(tmp_path, TwoLayers)
    path = str(tmp_path / "best.ckpt")
    same = TwoLayers("test_resnet", 10, class_names=NAMES, pretrained=path)
    assert all(torch.equal(value, first.head.state_dict()[name]) for name, value in same.head.state_dict().items())
    with pytest.warns(UserWarning, match=r"model\.pretrained: the head of '.*best\.ckpt' is of another shape"):
        lr.ImageClassifier("test_resnet", 10, class_names=NAMES, pretrained=path)
    with caplog.at_level("INFO", "lightning_recipes.modules.classifier"):
        other = lr.ImageClassifier("test_resnet", 10, class_names=NAMES[::-1], pretrained=path)
    assert "is for 10 classes (digit 0, digit 1" in caplog.text
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([1, 2, 3, 4])
    loss = other.eval().compute_loss(other(images), labels)
    assert loss.item() == pytest.approx(math.log(10))  # as every fresh head


def test_a_classifier_of_weights_that_is_left_out_is_spoken_of(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    import timm

    torch.save(timm.create_model("test_resnet", num_classes=7).state_dict(), tmp_path / "seven.pth")
    with caplog.at_level("INFO", "lightning_recipes.models.backbone"):
        create_backbone("test_resnet", num_classes=10, pretrained=str(tmp_path / "seven.pth"))
    assert "for 7 classes is left out for one of 10" in caplog.text


def test_a_trainer_validates_a_loaded_model_as_it_was_judged(tmp_path: Path) -> None:
    import lightning.pytorch as pl

    from tests.small import QUIET

    small = Stage("small", epochs=1, train="head", lr=0.01, image_size=48)
    trained(tmp_path, lr.ImageClassifier, small)
    model = lr.load(tmp_path / "best.ckpt")
    by_trainer = pl.Trainer(**QUIET).validate(model, datamodule=digits(), verbose=False)[0]
    in_fit = torch.load(tmp_path / "best.ckpt", weights_only=True)["metrics"]
    assert by_trainer["val_accuracy"] == pytest.approx(in_fit["val_accuracy"])
    assert by_trainer["val_loss"] == pytest.approx(in_fit["val_loss"], rel=1e-5)
    of_python = classifier(**GOOD, class_names=NAMES)  # Lightning's own way, with a data module of another size
    again = pl.Trainer(**QUIET).validate(
        of_python, datamodule=digits(), ckpt_path=tmp_path / "best.ckpt", verbose=False
    )
    assert again[0]["val_loss"] == pytest.approx(in_fit["val_loss"], rel=1e-5)


class Narrow(lr.ImageClassifier):
    """Takes what it needs, and hands the rest to its parent."""

    def __init__(self, num_classes: int, width: int = 3) -> None:
        super().__init__("test_resnet", num_classes, pretrained=False)
        self.save_hyperparameters()


def test_a_class_that_takes_fewer_arguments_than_its_parent_comes_back(tmp_path: Path) -> None:
    model = Narrow(10, width=5)
    best = BestCheckpoint(dirpath=str(tmp_path))
    fit(model, digits(), best, max_epochs=1, enable_checkpointing=True, default_root_dir=str(tmp_path))
    again = lr.load(tmp_path / "best.ckpt")
    assert type(again) is Narrow
    assert again.hparams["width"] == 5
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(images), model.eval()(images))


def test_numbers_of_numpy_and_paths_are_plain_in_the_file(tmp_path: Path) -> None:
    trained(tmp_path, lr.ImageClassifier, lr=np.float64(0.01), weight_decay=np.float32(0.5))
    assert lr.load(tmp_path / "best.ckpt").hparams["weight_decay"] == 0.5


def test_an_argument_that_no_file_gives_back_is_refused_before_the_training(tmp_path: Path) -> None:
    class Takes(lr.ImageClassifier):
        def __init__(self, *args: Any, maker: object = None, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.save_hyperparameters()

    with pytest.raises(lr.UserError, match=r"model\.maker: a type cannot be read back from a checkpoint"):
        trained(tmp_path, Takes, maker=nn.ReLU)
    assert not list(tmp_path.iterdir())


def test_classes_in_another_order_are_other_classes() -> None:
    saved = {"num_classes": 10, "class_names": list("bacdefghij")}
    with pytest.raises(lr.UserError, match="are not the data's"):
        classifier(class_names=list("abcdefghij")).on_load_checkpoint({"hyper_parameters": saved})


def test_an_argument_that_is_given_is_taken_in_place_of_the_files(tmp_path: Path) -> None:
    trainer, _ = fit(classifier(), digits(), max_epochs=1, limit_val_batches=0)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    model = lr.load(tmp_path / "a.ckpt", dropout=0.3)
    assert isinstance(model, ImageClassifier)
    assert model.dropout.p == 0.3
