"""Several views of an image: what they are, that they are averaged, and the gain with its interval."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from lightning_recipes import EnsembleClassifier, ImageClassifier, ImageDataModule, UserError
from lightning_recipes.__main__ import main
from lightning_recipes.modules.tta import VIEWS, MultiViewClassifier
from tests.small import QUIET, classifier, digits

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def trained() -> ImageClassifier:
    torch.manual_seed(0)
    model = ImageClassifier("test_resnet", 10, pretrained="embedded:letters").eval()
    torch.nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
    return model


def test_flip_is_the_mean_of_the_image_and_its_mirror() -> None:
    model = trained()
    with torch.inference_mode():
        ours = MultiViewClassifier(model, "flip")(IMAGES).softmax(dim=1)
        both = [model(view).softmax(dim=1) for view in (IMAGES, IMAGES.flip(-1))]
    torch.testing.assert_close(ours, (both[0] + both[1]) / 2)


def test_crops_are_the_middle_and_the_corners_at_the_images_size() -> None:
    crops = [view(IMAGES) for view in VIEWS["crops"]]
    assert len(crops) == 5
    assert len(VIEWS["flip_crops"]) == 11
    assert all(crop.shape == IMAGES.shape for crop in crops)
    spot = torch.zeros(1, 3, 32, 32)
    spot[..., :4, :4] = 1.0  # an eighth, which the opposite corner's crop leaves out
    seen = [float(view(spot).max()) > 0 for view in VIEWS["crops"]]
    assert seen == [True, True, False, False, False]
    torch.testing.assert_close(VIEWS["crops"][0](torch.ones(1, 3, 32, 32)), torch.ones(1, 3, 32, 32))


def test_views_of_the_training_augmentation_are_averaged_and_the_same_each_time() -> None:
    data, model = digits(val_fraction=0.02, augment="medium"), trained()
    trainer = pl.Trainer(**QUIET)

    def once(*, views: str = "augment") -> torch.Tensor:
        several = MultiViewClassifier(model, views)
        outputs: Any = trainer.predict(several, datamodule=data)
        return torch.cat([batch["probabilities"] for batch in outputs])

    first, again = once(), once()
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    indices = range(len(data.opened.splits.val))
    with torch.inference_mode():
        views = [
            data.evaluation_images("val", indices, data.input_config),
            *(data.augmented_images("val", indices, v) for v in range(4)),
        ]
        mean = torch.stack([model(images).softmax(dim=1) for images in views]).mean(dim=0)
    torch.testing.assert_close(first, mean, rtol=1e-4, atol=1e-5)
    assert not torch.equal(views[1], views[2])
    with pytest.raises(UserError, match=r"views: augment draws from data\.augment, which is none"):
        trainer.validate(MultiViewClassifier(model, "augment"), datamodule=digits(augment="none"), verbose=False)


def test_views_are_of_the_split_that_is_judged(tmp_path: Path) -> None:
    for split, count, value in (("data/train", 3, 10), ("data/val", 1, 60), ("data/test", 2, 110), ("new", 2, 160)):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                image = np.full((40, 40, 3), value + 20 * i, dtype=np.uint8)
                Image.fromarray(image).save(tmp_path / split / name / f"{i}.png")
    options: dict[str, Any] = {"image_size": 32, "batch_size": 2, "num_workers": 0, "augment": "light"}
    data = ImageDataModule(str(tmp_path / "data"), predict_root=str(tmp_path / "new"), **options)
    torch.manual_seed(0)
    model = ImageClassifier("test_resnet", 2, pretrained=False).eval()
    seen: list[tuple[str, float]] = []
    draw = data.augmented_images

    def spy(split: Any, indices: Any, view: int) -> torch.Tensor:
        images = draw(split, indices, view)
        seen.append((split, float(images.mean())))
        return images

    data.augmented_images = spy  # type: ignore[method-assign]
    brightness = {}
    for split in ("val", "test", "predict"):
        several, trainer = MultiViewClassifier(model, "augment"), pl.Trainer(**QUIET)
        getattr(trainer, split.replace("val", "validate"))(several, datamodule=data)
        assert {name for name, _ in seen} == {split}
        brightness[split] = max(mean for _, mean in seen)
        seen.clear()
    assert brightness["val"] < brightness["test"] < brightness["predict"]


def test_the_gain_is_the_difference_of_two_validations() -> None:
    data, model = digits(val_fraction=0.1), trained()
    trainer = pl.Trainer(**QUIET)
    plain = trainer.validate(model, datamodule=data, verbose=False)[0]["val_accuracy"]
    several = MultiViewClassifier(model, "crops")
    figure = trainer.validate(several, datamodule=data, verbose=False)[0]["val_accuracy"]
    gain, half, images = several.gain()
    assert gain == pytest.approx(figure - plain, abs=1e-6)
    assert images == len(data.opened.splits.val)
    assert 0 < half < 0.2


def test_the_command_line_takes_views_for_validate_and_predict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "data: {root: 'sklearn:digits', val_fraction: 0.05, images_per_class: 4, image_size: 32, batch_size: 10}\n"
        "model: {backbone: test_resnet, pretrained: 'embedded:letters'}\n"
        "trainer: {max_epochs: 1, logger: false, accelerator: cpu, enable_progress_bar: false}\n"
    )
    assert main(["fit", "--config", str(recipe), "--run_dir", str(run), "--gradcam.images", "0"]) == 0
    capsys.readouterr()
    words = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "best.ckpt")]
    assert main(["validate", *words, "--views", "crops"]) == 0
    assert re.search(
        r"The views add [+-]\d+\.\d ± \d+\.\d points to the accuracy \(paired over 90 images", capsys.readouterr().out
    )
    for folder, more in (("plain", []), ("several", ["--views", "flip"])):
        assert main(["predict", *words, "--run_dir", str(tmp_path / folder), *more]) == 0
    rows = [list(csv.reader((tmp_path / f / "predictions.csv").read_text().splitlines())) for f in ("plain", "several")]
    assert [row[0] for row in rows[0]] == [row[0] for row in rows[1]]
    assert rows[0] != rows[1]
    assert main(["validate", *words, "--views", "flop"]) == 2
    assert "views: 'flop' is not one of flip, crops, flip_crops, augment; did you mean flip" in capsys.readouterr().err


def test_views_that_there_are_not_are_named() -> None:
    with pytest.raises(UserError, match="views: 'rotations' is not one of"):
        MultiViewClassifier(trained(), "rotations")


def test_the_interval_of_the_gain_is_that_of_a_mean() -> None:
    several = MultiViewClassifier(classifier(), "flip")
    several.differences = [torch.tensor([1, 0, 0, -1]), torch.tensor([1, 0, 1])]
    d = np.array([1, 0, 0, -1, 1, 0, 1])
    low, high = stats.norm.interval(0.95, loc=d.mean(), scale=stats.sem(d))
    gain, half, images = several.gain()
    assert (gain - half, gain + half, images) == pytest.approx((low, high, 7))


def test_an_ensemble_that_looks_at_several_sizes_has_no_views() -> None:
    members = [classifier(), classifier()]
    for member, size in zip(members, (32, 64), strict=True):
        member.judged_input = replace(member.input_config, image_size=size)
    with pytest.raises(UserError, match="views: the snapshots were judged on images of different sizes"):
        MultiViewClassifier(EnsembleClassifier(members), "flip")
