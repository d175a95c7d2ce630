"""Backbones by name, weights in every form, and what is said when something does not fit."""

import math
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from lightning_recipes.errors import UserError
from lightning_recipes.models.backbone import check_image_size, create_backbone
from lightning_recipes.models.weights import read_weights, save_weights

SHARED = Path(__file__).parents[3] / "shared" / "data" / "mobilenetv2_100.safetensors"


def timm_weights(classes: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return timm.create_model("test_resnet", num_classes=classes).state_dict()  # type: ignore[no-any-return]


def written(tmp_path: Path, suffix: str, tensors: dict[str, Any], **header: str) -> str:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, str(path), metadata=header)
    else:
        torch.save(tensors, path)
    return str(path)


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [
        (".safetensors", lambda t: t),
        (".pth", lambda t: t),
        (".pth", lambda t: {"state_dict": {f"module.{n}": v for n, v in t.items()}, "epoch": 3}),
        (".pt", lambda t: {"model": t}),
    ],
)
def test_weights_of_every_form_reach_the_backbone(tmp_path: Path, suffix: str, wrap: Any) -> None:
    tensors = timm_weights()
    built = create_backbone("test_resnet", num_classes=3, pretrained=written(tmp_path, suffix, wrap(tensors)))
    for name, value in built.features.state_dict().items():
        assert torch.equal(value, tensors[name]), name


def test_another_number_of_classes_drops_the_classifier_and_the_same_keeps_it(tmp_path: Path) -> None:
    path = written(tmp_path, ".safetensors", timm_weights(classes=5))
    other, same = (create_backbone("test_resnet", num_classes=n, pretrained=path) for n in (3, 5))
    assert (other.head_is_pretrained, same.head_is_pretrained) == (False, True)
    assert torch.equal(same.head.weight, timm_weights(5)["fc.weight"])  # type: ignore[arg-type]
    features = torch.randn(6, other.num_features)
    loss = torch.nn.functional.cross_entropy(other.head(features), torch.randint(3, (6,)))
    assert loss.item() == pytest.approx(math.log(3))


def test_the_files_own_configuration_is_taken_over_and_the_recipes_comes_before_it(tmp_path: Path) -> None:
    tensors = timm.create_model("test_efficientnet", num_classes=5).state_dict()
    header = {
        "mean": "0.1,0.2,0.3",
        "std": "0.5,0.5,0.5",
        "input_size": "3,48,48",
        "pad_type": "same",
        "crop_pct": "0.9",
    }
    path = written(tmp_path, ".safetensors", tensors, **header)
    built = create_backbone("test_efficientnet", num_classes=5, pretrained=path)
    assert built.input.mean == (0.1, 0.2, 0.3)
    assert (built.input.image_size, built.input.crop_pct) == (48, 0.9)
    same = timm.create_model("test_efficientnet", pad_type="same", num_classes=0).eval()
    same.load_state_dict(built.features.state_dict())
    images = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        assert torch.equal(built.features.eval()(images), same(images))
        plain = create_backbone("test_efficientnet", num_classes=5, pretrained=path, backbone_kwargs={"pad_type": ""})
        assert not torch.equal(plain.features.eval()(images), same(images))


def test_sixteen_bit_files_are_loaded_as_float32(tmp_path: Path) -> None:
    half = {n: t.half() if t.is_floating_point() else t for n, t in timm_weights().items()}
    built = create_backbone("test_resnet", num_classes=5, pretrained=written(tmp_path, ".safetensors", half))
    assert {p.dtype for p in built.features.parameters()} == {torch.float32}


def test_saved_weights_are_read_back_with_what_they_were_made_for(tmp_path: Path) -> None:
    first = read_weights("embedded:letters")
    save_weights(tmp_path / "again.safetensors", first)
    again = read_weights(str(tmp_path / "again.safetensors"))
    assert again.architecture == first.architecture == "test_resnet"
    assert again.config == first.config
    assert all(torch.equal(again.tensors[name], value) for name, value in first.tensors.items())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda t: {n: v for n, v in t.items() if "layer2" not in n},
            r"does not fit test_resnet: \d+ tensors are missing",
        ),
        (lambda t: {**t, "extra.weight": torch.zeros(1)}, r"1 tensors are unexpected \(such as extra\.weight\)"),
        (lambda t: {**t, "conv1.0.weight": torch.zeros(1, 2)}, r"1 are of another shape \(such as conv1\.0\.weight\)"),
    ],
)
def test_weights_that_do_not_fit_are_counted(tmp_path: Path, change: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        create_backbone("test_resnet", num_classes=5, pretrained=written(tmp_path, ".pth", change(timm_weights())))


def test_files_that_are_no_weights_are_named(tmp_path: Path) -> None:
    for name, content in (("a.safetensors", b"\x05"), ("b.pth", b"no weights"), ("c.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"model\.pretrained: '.*{name}' cannot be read as weights"):
            create_backbone("test_resnet", num_classes=5, pretrained=str(tmp_path / name))
    with pytest.raises(UserError, match=r"model\.pretrained: 'missing\.pth' does not exist"):
        create_backbone("test_resnet", num_classes=5, pretrained="missing.pth")


def test_weights_for_another_architecture_say_which(tmp_path: Path) -> None:
    path = written(tmp_path, ".safetensors", timm_weights(), architecture="test_resnet")
    with pytest.raises(UserError, match=r"is for test_resnet, not resnet18; give --model\.backbone test_resnet"):
        create_backbone("resnet18", num_classes=5, pretrained=path)


def test_an_unknown_backbone_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(UserError, match=r"model\.backbone: 'resnet81' is not a timm model; did you mean resnet18"):
        create_backbone("resnet81", num_classes=5)


def test_an_argument_that_the_architecture_does_not_take_is_named() -> None:
    with pytest.raises(UserError, match=r"model\.backbone_kwargs\.wings: 'test_resnet' takes no such argument"):
        create_backbone("test_resnet", num_classes=5, backbone_kwargs={"wings": 2})


def test_an_image_size_that_the_backbone_refuses_is_said_and_leaves_no_trace() -> None:
    built = create_backbone("levit_128s", num_classes=5)
    built.features.train()
    before = {n: b.clone() for n, b in built.features.named_buffers()}
    check_image_size(built.features, 224)
    with pytest.raises(UserError, match=r"data\.image_size: the backbone cannot take images of 60 px"):
        check_image_size(built.features, 60)
    assert all(module.training for module in built.features.modules())
    assert all(torch.equal(before[n], b) for n, b in built.features.named_buffers())


@pytest.mark.skipif(not SHARED.exists(), reason="the ImageNet weights are not beside this checkout")
def test_real_imagenet_weights_bring_their_own_normalisation_and_padding() -> None:
    built = create_backbone("mobilenetv2_100", num_classes=2, pretrained=str(SHARED))
    assert built.input.mean == built.input.std == (0.5, 0.5, 0.5)
    assert built.features.conv_stem.__class__.__name__ == "Conv2dSame"
