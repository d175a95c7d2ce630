"""Files that say what the framework says, or are not written."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import lightning_recipes as lr
from lightning_recipes.__main__ import main
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.errors import UserError
from lightning_recipes.export import export as exporting
from lightning_recipes.export.export import Limits, NotProven, export
from lightning_recipes.export.int8 import Judged
from lightning_recipes.export.onnx_file import OnnxSession
from lightning_recipes.export.picture_input import PictureInput
from lightning_recipes.export.whole_model import WholeModel
from lightning_recipes.input_config import InputConfig
from lightning_recipes.modules.ensemble import EnsembleClassifier
from tests.export.test_picture_input import smooth

NAMES = ["ants", "bees", "wasps"]


def classifier(size: int = 32, seed: int = 0, **options: Any) -> lr.ImageClassifier:
    """A network whose head is not zero, as a new one's is."""
    torch.manual_seed(seed)
    module = lr.ImageClassifier("test_resnet", 3, pretrained=False, class_names=NAMES, **options)
    for parameter in module.head.parameters():
        torch.nn.init.normal_(parameter, std=1.0)
    module.judged_input = InputConfig(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop_pct=0.875)
    return module.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of three classes and of many sizes, some of them large."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(24):
        path = root / "val" / NAMES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth(40 + 13 * number, 300 - 11 * number, number)).save(path, quality=95)
    Image.fromarray(smooth(50, 50)).save(root / "val" / "ants" / "grey.png")
    (root / "train").symlink_to(root / "val")
    return root


@pytest.fixture(scope="module")
def source(folder: Path) -> ImageSource:
    return lr.ImageDataModule(str(folder)).opened.splits.val


def probabilities(file: Path, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return found


def test_an_onnx_file_takes_a_picture_of_any_size_and_says_what_predict_says(
    source: ImageSource, tmp_path: Path
) -> None:
    model = classifier()
    done = export(model, tmp_path / "out", source=source, origin={"checkpoint": "best.ckpt"})
    assert done.proof is not None
    assert done.proof.other_label == 0
    assert done.proof.largest_gap < 1e-4
    for picture in (smooth(33, 57), smooth(400, 90)):
        (said,) = model.predict(picture)
        np.testing.assert_allclose(probabilities(done.file, picture), said.probabilities, atol=1e-4)
    session = onnxruntime.InferenceSession(done.file, providers=["CPUExecutionProvider"])
    known = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert known["classes"] == NAMES
    assert (known["task"], known["checkpoint"], known["input"][0]["image_size"]) == ("multiclass", "best.ckpt", 32)
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert written["images"] == 25
    assert written["same_label"] == 1.0
    assert written["file_bytes"] == done.file.stat().st_size
    assert written["full_size_gap"] is not None  # some JPEGs are read at a half
    forms = {(row["form"], row["batch"]) for row in written["latency"]}
    assert forms == {("onnx", 1), ("onnx", 8), ("eager", 1), ("eager", 8)}


def test_a_reader_without_us_says_the_same(source: ImageSource, folder: Path, tmp_path: Path) -> None:
    model = classifier()
    export(model, tmp_path / "out", source=source)
    Image.fromarray(smooth(90, 60)).convert("RGBA").save(tmp_path / "clear.png")
    paths = [str(folder / "val" / "ants" / "21.jpg"), str(tmp_path / "clear.png")]
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "out" / "predict.py"), *paths], capture_output=True, text=True, check=True
    )
    for line, said in zip(done.stdout.splitlines(), model.predict(paths), strict=True):
        label, probability = line.split("\t")[1].split()
        assert label == said.label
        assert abs(float(probability) - said.probability) < 2e-4
    imported = [line.split()[1].partition(".")[0] for line in exporting.reader().splitlines() if "import " in line[:7]]
    assert set(imported) <= {"json", "sys", "numpy", "onnxruntime"}


def test_the_reader_names_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    """Of a model of one channel, which is the luminance, as in training."""
    model = classifier(in_chans=1, reject_below=0.999)
    assert model.judged_input is not None
    model.judged_input = replace(model.judged_input, mean=(0.5,), std=(0.25,))
    export(model, tmp_path / "out", source=None)
    Image.fromarray(smooth(60, 80)).save(tmp_path / "good.png")
    Image.fromarray(smooth(60, 80)[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    (tmp_path / "cut.jpg").write_bytes(b"no picture")
    words = [str(tmp_path / name) for name in ("deep.png", "cut.jpg", "nowhere.png", "good.png")]
    script = [sys.executable, "-I", str(tmp_path / "out" / "predict.py")]
    done = subprocess.run([*script, *words], capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.partition(": cannot be read")[0] for line in done.stderr.splitlines()] == words[:3]
    (said,) = model.predict(words[3])
    assert done.stdout.split("\t")[:2] == [words[3], "none of these"]
    assert said.label == ""
    assert float(done.stdout.split("\t")[2].split()[1]) == pytest.approx(said.probability, abs=1e-4)
    assert "python predict.py photo.jpg" in subprocess.run(script, capture_output=True, text=True).stderr


@pytest.mark.slow
def test_batches_views_and_an_ensemble_of_two_sizes_in_one_file(source: ImageSource, tmp_path: Path) -> None:
    ensemble = EnsembleClassifier([classifier(32, seed=1), classifier(40, seed=2)])
    done = export(ensemble, tmp_path / "both", source=source, batch=True)
    pictures = np.stack([smooth(60, 80, 1), smooth(60, 80, 2)])
    said = [one.probabilities for one in ensemble.predict(pictures)]
    np.testing.assert_allclose(probabilities(done.file, pictures), said, atol=1e-4)
    model = classifier()
    flipped = export(model, tmp_path / "flip", source=source, views="flip")
    found = probabilities(flipped.file, pictures[0])
    np.testing.assert_allclose(found, probabilities(flipped.file, pictures[0, :, ::-1].copy()), atol=1e-4)
    assert np.abs(found - model.predict(pictures[0])[0].probabilities).max() > 1e-3


@pytest.mark.slow
def test_a_temperature_is_part_of_the_file(source: ImageSource, tmp_path: Path) -> None:
    model, picture = classifier(), smooth(60, 80)
    done = export(model, tmp_path / "out", source=source, temperature=2.0)
    logits = np.log(model.predict(picture)[0].probabilities.astype(np.float64)) / 2
    np.testing.assert_allclose(probabilities(done.file, picture), np.exp(logits) / np.exp(logits).sum(), atol=1e-4)


@pytest.mark.slow
def test_a_program_of_torch_takes_batches(source: ImageSource, tmp_path: Path) -> None:
    model = classifier()
    done = export(model, tmp_path / "out", to="torch", source=source)
    program = torch.export.load(done.file).module()
    pictures = np.stack([smooth(60, 80, 1), smooth(60, 80, 2)])
    said = [one.probabilities for one in model.predict(pictures)]
    np.testing.assert_allclose(program(torch.from_numpy(pictures)).numpy(), said, atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", "model.pt2"]


def normalisation_left_out(self: PictureInput, pictures: Tensor) -> Tensor:
    return self.levels(pictures) / 255


def blue_for_red(self: PictureInput, pictures: Tensor) -> Tensor:
    return right(self, pictures.flip(-1))


def corners_aligned(self: PictureInput, pictures: Tensor) -> Tensor:
    levels = pictures.permute(0, 3, 1, 2).float()
    size = (self.size, self.size)
    levels = torch.nn.functional.interpolate(levels, size, mode="bilinear", align_corners=True)
    return (levels - self.get_buffer("mean")) / self.get_buffer("std")


right = PictureInput.forward


@pytest.mark.parametrize("fault", [normalisation_left_out, blue_for_red, corners_aligned])
def test_a_wrong_file_is_not_written(
    source: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(PictureInput, "forward", fault)
    with pytest.raises(NotProven, match=r"nothing was written: .*\n  the difference comes from the resizing") as said:
        export(classifier(), tmp_path / "out", source=source)
    assert ".jpg: 0." in str(said.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_network_that_computes_something_else_is_named(
    source: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quieter(OnnxSession):
        def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.float32(0.9) * super().__call__(pictures)

    monkeypatch.setattr(exporting, "OnnxSession", Quieter)
    with pytest.raises(NotProven, match="the difference comes from the network"):
        export(classifier(), tmp_path / "out", source=source)
    export(classifier(), tmp_path / "out", source=source, limits=Limits(max_gap=0.2))


def test_what_cannot_be_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    with pytest.raises(UserError, match=r"out: .*taken' is there already"):
        export(classifier(), tmp_path / "taken", source=None)
    with pytest.raises(UserError, match="views: 'augment' is not one that a file can hold; there are flip, crops"):
        WholeModel(classifier(), "augment")


class Branching(torch.nn.Module):
    """A head that does one of two things by what it computes, which no graph can say."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(features, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.linear(features)
        return found if bool(found.sum() > 0) else -found


def test_a_network_that_cannot_be_traced_is_refused_in_a_line(tmp_path: Path) -> None:
    module = classifier()
    module.head = Branching(module.head.in_features, 3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="to: ImageClassifier cannot be traced") as said:
        export(module.eval(), tmp_path / "out", source=None)
    assert "\n" not in str(said.value)


@pytest.mark.slow
def test_the_command_exports_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.small import SMALL, UNREPORTED

    (tmp_path / "recipe.yaml").write_text(SMALL)
    assert main(["fit", "--config", "recipe.yaml", "--run_dir", "run", *UNREPORTED]) == 0
    words = ["export", "--ckpt_path", "run/checkpoints/best.ckpt"]
    assert main([*words]) == 2
    assert "out: export needs a new folder" in capsys.readouterr().err
    assert main([*words, "--out", "run"]) == 2
    assert main([*words, "--out", "it", "--max_gap", "2"]) == 2
    assert main([*words, "--out", "recipe.yaml/it"]) == 2
    assert "out: 'recipe.yaml' cannot be written" in capsys.readouterr().err
    assert main([*words, "--out", "it", "--max_gap", "0"]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not Path("it").exists()
    assert main([*words, "--out", "it"]) == 0
    assert "The same label as the framework for 90 of 90 pictures" in " ".join(capsys.readouterr().out.split())
    summary, written = (json.loads(Path(name).read_text()) for name in ("run/summary.json", "it/export.json"))
    assert (written["images"], written["checkpoint"]) == (summary["val_images"], "best.ckpt")
    bare = ["--out", "bare", "--prove", "false", "--data.root", "/nowhere", "--license", "apache-2.0"]
    assert main([*words, *bare, "--model.reject_below", "0.4"]) == 0
    written = json.loads(Path("bare/export.json").read_text())
    assert (written["images"], written["license"], written["reject_below"]) == (0, "apache-2.0", 0.4)


@pytest.mark.slow
def test_eight_bits_are_judged_against_floats(source: ImageSource, folder: Path, tmp_path: Path) -> None:
    model = classifier()
    train = lr.ImageDataModule(str(folder)).opened.splits.train
    done = export(model, tmp_path / "out", source=source, calibrate_on=train, limits=Limits(max_loss=1.0))
    assert done.int8 is not None
    said = [one.label for one in model.predict([source.read(index) for index in range(len(source))])]
    right = np.mean([name == NAMES[label] for name, label in zip(said, source.labels, strict=True)])
    assert (done.int8.images, done.int8.right_in_floats) == (25, right)
    low, high = done.int8.ci95
    assert low <= done.int8.difference <= high
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model_int8.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {"picture": smooth(60, 80)})[0]
    assert 0 < np.abs(found - probabilities(done.file, smooth(60, 80))).max() < 0.2
    assert (tmp_path / "out" / "model_int8.onnx").stat().st_size < 0.5 * done.file.stat().st_size


def test_eight_bits_that_lose_too_much_are_not_written(
    source: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Judged(25, 0.9, 0.6, -0.3, (-0.5, -0.1), 0.7)
    monkeypatch.setattr(exporting, "to_int8", lambda model, train, least: model)
    monkeypatch.setattr(exporting, "judge_int8", lambda *given: lost)
    with pytest.raises(
        NotProven, match=r"in eight bits 60.0% of 25 labels are right, in floats 90.0% \(-50.0 to -10.0"
    ):
        export(classifier(), tmp_path / "out", source=source, calibrate_on=source, limits=Limits(max_loss=0.2))
    assert not list(tmp_path.iterdir())
