"""Folders that timm reads, and says the same by."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

import lightning_recipes as lr
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.errors import UserError
from lightning_recipes.export.export import Limits, NotProven
from lightning_recipes.export.for_timm import export_for_timm
from lightning_recipes.input_config import Fit
from lightning_recipes.models import timm_folder
from tests.export.test_architectures import Blots
from tests.export.test_export import NAMES, classifier
from tests.export.test_picture_input import smooth

CLOSE = Limits(max_gap=0.02, max_other_labels=0.0)


@pytest.fixture
def source() -> ImageSource:
    return Blots(12)


@pytest.mark.parametrize("fit", ["crop", "squish"])
def test_timm_alone_says_what_predict_says(tmp_path: Path, source: ImageSource, fit: Fit) -> None:
    model = classifier()
    assert model.judged_input is not None
    model.judged_input = replace(model.judged_input, fit=fit, image_backend="pillow")
    done = export_for_timm(model, tmp_path / "out", source=source, limits=CLOSE, origin={"checkpoint": "best.ckpt"})
    assert done.proof is not None
    assert done.proof.other_label == 0
    network = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    transform = create_transform(**resolve_data_config({}, model=network))
    picture = smooth(90, 60)
    with torch.inference_mode():
        found = network(transform(Image.fromarray(picture))[None]).softmax(1)[0]
    np.testing.assert_allclose(found, model.predict(picture)[0].probabilities, atol=0.02)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["architecture"], config["label_names"]) == ("test_resnet", NAMES)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["checkpoint"] == "best.ckpt"


def test_timm_gives_the_features_of_a_backbone_without_its_head(tmp_path: Path, source: ImageSource) -> None:
    model = classifier().to(memory_format=torch.channels_last)  # as a recipe with model.channels_last has it
    export_for_timm(model, tmp_path / "out", source=source, limits=CLOSE, origin={})
    backbone = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True, num_classes=0).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images), model.features(images))


def test_a_transform_of_another_size_is_seen(
    tmp_path: Path, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(timm_folder.CROP_MODES, "crop", "squash")
    with pytest.raises(NotProven, match="the difference comes from the resizing"):
        export_for_timm(classifier(), tmp_path / "out", source=source, limits=CLOSE, origin={})
    assert not list(tmp_path.iterdir())


def test_a_head_that_timm_has_not_is_refused(tmp_path: Path) -> None:
    model = lr.ImageClassifier("test_resnet", 3, pretrained=False, head="mlp")
    with pytest.raises(UserError, match="to: timm has no network with the head MLPHead; give onnx or torch"):
        export_for_timm(model, tmp_path / "out", source=None, limits=CLOSE, origin={})
