"""Images of other channels than red, green and blue, from the files to a prediction."""

import csv
import json
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

import lightning_recipes as lr
from lightning_recipes.__main__ import main
from lightning_recipes.data.batch import displayed
from lightning_recipes.data.sources.files import FileSource, Folder
from lightning_recipes.data.transforms.image_transforms import train_transform
from lightning_recipes.data.transforms.resizing import resize
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.backbone import create_backbone
from tests.small import QUIET, SMALL, UNREPORTED, classifier, digits


def scene(label: int, draw: np.random.Generator, channels: int = 5) -> NDArray[np.uint16]:
    """A smooth image of 12 bits; what it shows is in the last channels alone."""
    smooth = draw.integers(500, 1500, (6, 7, channels)).astype(np.uint16)
    smooth[..., channels - 1 - label] += 1500
    return np.repeat(np.repeat(smooth, 8, axis=0), 8, axis=1)


def scenes(root: Path, *, images: int = 12) -> Path:
    draw = np.random.default_rng(0)
    for split, count in (("train", images), ("val", images // 2)):
        for label in (0, 1):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                np.save(folder / f"{number}.npy", scene(label, draw))
    return root


def fit(tmp_path: Path, *more: str) -> Path:
    root, recipe, run = tmp_path / "scenes", tmp_path / "recipe.yaml", tmp_path / "run"
    if not root.exists():
        scenes(root)
    recipe.write_text(SMALL)
    data = [
        "--data.root",
        str(root),
        "--data.channels",
        "5",
        "--data.images_per_class",
        "null",
        "--data.batch_size",
        "6",
    ]
    assert main(["fit", "--config", str(recipe), *data, "--run_dir", str(run), *more]) == 0
    return run


def test_five_channels_train_are_judged_and_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fit(tmp_path, "--data.augment", "medium")
    assert (
        main(["validate", "--ckpt_path", str(run / "checkpoints" / "best.ckpt"), "--out", str(tmp_path / "v.json")])
        == 0
    )
    summary, said = (json.loads(path.read_text()) for path in (run / "summary.json", tmp_path / "v.json"))
    assert said["val_loss"]["value"] == pytest.approx(summary["val_loss"], rel=1e-6)
    model = lr.load(run / "checkpoints" / "best.ckpt")
    with (run / "val_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    given = [str(tmp_path / "scenes" / row["path"]) for row in rows]
    for row, found in zip(rows, model.predict(given), strict=True):
        assert found.label == row["predicted"]
        assert found.probability == pytest.approx(float(row["probability"]), abs=1e-5)
    assert len(model.predict([np.zeros((40, 40, 5), np.uint8)])) == 1
    with pytest.raises(UserError, match=r"give uint8 \(H, W, 5\)"):
        model.predict([np.zeros((40, 40, 3), np.uint8)])
    with pytest.raises(UserError, match=r"3 channels, where data\.channels says 5"):
        model.predict([Image.new("RGB", (40, 40))])


def test_the_first_layer_of_a_run_of_five_channels_is_taken_as_it_is(tmp_path: Path) -> None:
    best = fit(tmp_path, *UNREPORTED) / "checkpoints" / "best.ckpt"
    trained = torch.load(best, weights_only=True)["state_dict"]
    again = create_backbone("test_resnet", num_classes=3, pretrained=str(best), in_chans=5)
    for name, tensor in again.features.state_dict().items():
        assert torch.equal(tensor, trained[f"backbone.{name}"]), name
    assert len(again.input.mean) == 5


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_pretrained_weights_of_three_channels_are_taken_as_timm_takes_them(channels: int, tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=0)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    theirs = timm.create_model(
        "test_resnet",
        pretrained=True,
        in_chans=channels,
        num_classes=0,
        pretrained_cfg_overlay={"file": str(tmp_path / "w.pth")},
    )
    ours = create_backbone("test_resnet", num_classes=3, pretrained=str(tmp_path / "w.pth"), in_chans=channels)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.features.state_dict()[name]), name


def test_weights_of_other_channels_than_three_are_refused_for_others(tmp_path: Path) -> None:
    best = fit(tmp_path, *UNREPORTED) / "checkpoints" / "best.ckpt"
    for channels in (1, 3, 7):
        with pytest.raises(UserError, match=rf"^model\.pretrained: .* 5 channels, not {channels}; give weights of"):
            create_backbone("test_resnet", num_classes=3, pretrained=str(best), in_chans=channels)


def test_a_run_goes_on_with_its_channels_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fit(tmp_path, *UNREPORTED, "--trainer.max_epochs", "1")
    for key, value in (("data.channels", "4"), ("data.image_backend", "pillow")):
        again = ["--config", str(run / "config.yaml"), "--run_dir", str(run), "--ckpt_path", "last", f"--{key}", value]
        assert main(["fit", *again]) == 2
        assert f"{key}: " in capsys.readouterr().err


def test_arrays_beside_pictures_are_left_alone_and_alone_they_are_images(tmp_path: Path) -> None:
    for label in ("ants", "bees"):
        (tmp_path / label).mkdir()
        for number in range(6):
            Image.new("RGB", (20, 20)).save(tmp_path / label / f"{number}.png")
            np.save(tmp_path / label / f"{number}.npy", np.zeros(768, np.float32))
    assert len(lr.ImageDataModule(str(tmp_path), val_fraction=0.5).opened.splits.train) == 6
    assert len(lr.ImageDataModule(predict_root=str(tmp_path)).predict_source) == 12
    for path in tmp_path.rglob("*.p*g"):
        path.unlink()
    with pytest.raises(UserError, match="an array of shape 768, which is no image"):
        _ = lr.ImageDataModule(str(tmp_path), val_fraction=0.5).opened


class Own:
    """A source of somebody's own, that gives what it is told to."""

    given: ClassVar[Any] = None
    classes, labels = ("a", "b"), np.array([0, 1] * 10, dtype=np.int64)
    paths = tuple(f"own/{number}" for number in range(20))

    def __len__(self) -> int:
        return 20

    def read(self, index: int, min_size: int | None = None) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            np.zeros((9, 9, 3), np.float32),
            r"^data\.root: 'own/\d+' is read as float32 .*; give uint8",
        ),
        (np.zeros((9, 9, 3), np.uint16), r"^data\.root: 'own/\d+' is read as uint16"),
        (np.zeros((0, 9, 3), np.uint8), r"^data\.root: 'own/\d+' is read as uint8 of shape \(0, 9, 3\)"),
        (np.zeros((9, 9, 5), np.uint8), r"^data\.channels: 3, but 'own/\d+' has 5"),
    ],
)
def test_a_source_that_gives_no_such_image_is_named(given: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "given", given)
    data = lr.ImageDataModule("tests.data.test_channels.Own", image_size=8, batch_size=2, num_workers=0)
    with pytest.raises(UserError, match=text):
        next(iter(data.train_dataloader()))


class OwnFiles:
    root: ClassVar[str] = ""

    def __new__(cls) -> Any:
        names = sorted(path.name for path in Path(cls.root).glob("*.npy"))
        return FileSource(Folder(cls.root), names, [number % 2 for number in range(len(names))], ("a", "b"))


def test_files_of_a_source_of_ones_own_are_read_in_these_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        np.save(tmp_path / f"{number}.npy", np.full((9, 9, 5), number, np.uint8))
    monkeypatch.setattr(OwnFiles, "root", str(tmp_path))
    options: dict[str, Any] = {"channels": 5, "image_size": 8, "batch_size": 2, "num_workers": 0}
    data = lr.ImageDataModule("tests.data.test_channels.OwnFiles", **options)
    assert next(iter(data.train_dataloader())).images.shape == (2, 5, 8, 8)


@pytest.mark.parametrize("augment", ["none", "light", "medium"])
def test_views_of_arrays_that_run_backwards_are_images_too(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    seen = []
    for given in (image[:, :, ::-1], np.ascontiguousarray(image[:, :, ::-1])):
        monkeypatch.setattr(Own, "given", given)
        options: dict[str, Any] = {"image_size": 16, "batch_size": 2, "num_workers": 0, "augment": augment}
        seen.append(next(iter(lr.ImageDataModule("tests.data.test_channels.Own", **options).train_dataloader())).images)
    assert torch.equal(seen[0], seen[1])


def test_thin_pictures_of_many_channels_are_resized_as_pillow_does() -> None:
    image = torch.randint(0, 256, (5, 3000, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours, theirs = (resize(image, (33, 1), backend=backend) for backend in ("torch", "pillow"))
    assert (ours.int() - theirs.int()).abs().max() <= 1


def test_the_mean_of_three_channels_serves_others() -> None:
    built = create_backbone("test_resnet", num_classes=3, in_chans=4, pretrained=False)
    red, green, blue = create_backbone("test_resnet", num_classes=3, pretrained=False).input.mean
    assert built.input.mean == (red, green, blue, red)


@pytest.mark.slow
def test_digits_in_one_channel_train(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(SMALL)
    assert main(["fit", "--config", str(recipe), "--data.channels", "1", "--run_dir", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["finished"]


@pytest.mark.parametrize("policy", ["light", "medium", "strong", "spectrogram", ["Rotate", "HorizontalFlip"]])
@pytest.mark.parametrize("backend", ["torch", "pillow"])
@pytest.mark.parametrize("channels", [1, 2, 4, 5, 13])
def test_policies_treat_every_channel_alike(policy: Any, backend: Any, channels: int) -> None:
    one = np.random.default_rng(0).integers(0, 255, (6, 8, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    image = np.repeat(one, channels, axis=2)
    half = (0.5,) * channels
    transform = train_transform(policy, InputConfig(32, half, half, image_backend=backend))
    for seed in range(6):
        view = transform(image, seed)
        assert view.shape == (channels, 32, 32)
        assert float((view - view[:1]).abs().max()) <= 2 / 127.5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channels": 0}, r"^data\.channels: 0 is not a whole number >= 1"),
        (
            {"channels": 5, "mean": [0.5] * 3},
            r"^data\.mean: .* is not a list of 5 numbers, one for each of data\.channels",
        ),
        ({"channels": 7}, r"^data\.channels: 7, but 'digits/0[0-9]+\.png' has 3; give the number that images have"),
        ({"channels": 5, "augment": "randaugment"}, r"^data\.augment: randaugment changes red, green and blue"),
    ],
)
def test_what_cannot_work_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        next(iter(lr.ImageDataModule("sklearn:digits", image_size=8, **options).train_dataloader()))


def test_a_model_for_other_channels_is_refused() -> None:
    trainer = pl.Trainer(**QUIET, max_epochs=1)
    with pytest.raises(UserError, match=r"^data\.channels: 1, and the model takes 3; give ImageClassifier in_chans=1"):
        trainer.fit(classifier(), datamodule=digits(channels=1))


def test_three_channels_of_many_are_shown_and_else_one() -> None:
    images = torch.arange(5.0)[None, :, None, None].expand(1, 5, 2, 2)
    assert displayed(images, [0.0] * 5, [1.0] * 5)[0, 0, 0].tolist() == [0, 1, 2]
    assert displayed(images[:, 1:3], [0.5] * 2, [2.0] * 2)[0, 0, 0].tolist() == [2.5, 2.5, 2.5]
