"""Coordinates for the first convolution: the same network at first, and one that learns where things are."""

from pathlib import Path
from typing import Any, Literal

import pytest
import timm
import torch
from timm.layers import create_conv2d
from torch import Tensor, nn

import lightning_recipes as lr
from lightning_recipes import Stage, Stages
from lightning_recipes.errors import UserError
from lightning_recipes.export.export import export
from lightning_recipes.models.coordinates import add_coordinates_, coordinate_channels
from lightning_recipes.models.groups import layer_groups
from lightning_recipes.models.heatmaps import grad_cam
from lightning_recipes.models.timm_folder import as_timm
from tests.export.test_architectures import Blots
from tests.small import classifier, digits, fit


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters() if name.endswith("coordinate_weight")}


def moved(**options: Any) -> lr.ImageClassifier:
    """A network with coordinates whose weights are no longer zero."""
    model = classifier(coordinates=True, **options)
    for parameter in (*weights_of(model).values(), model.head.weight):
        nn.init.normal_(parameter)  # type: ignore[arg-type]
    return model.eval()


def test_a_picture_of_two_rows_and_three_columns() -> None:
    rows, columns = coordinate_channels(2, 3)[0].tolist()
    assert rows == [[-1, -1, -1], [1, 1, 1]]
    assert columns == [[-1, 0, 1], [-1, 0, 1]]


@pytest.mark.parametrize("padding", ["", "same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_a_convolution_over_two_more_channels(padding: str, stride: int) -> None:
    torch.manual_seed(0)
    net: Any = timm.create_model("test_efficientnet", pad_type="same" if padding == "same" else "")
    net.conv_stem = create_conv2d(3, 8, 3, stride=stride, padding=padding, bias=True)
    whole = create_conv2d(5, 8, 3, stride=stride, padding=padding, bias=True)
    add_coordinates_(net, "test_efficientnet", {"conv_stem.coordinate_weight": whole.weight[:, 3:].detach()})
    net.conv_stem.load_state_dict(
        {"weight": whole.weight[:, :3], "bias": whole.bias, "coordinate_weight": whole.weight[:, 3:]}
    )
    images = torch.randn(2, 3, 10, 7)
    more = torch.cat([images, coordinate_channels(10, 7).expand(2, -1, -1, -1)], dim=1)
    torch.testing.assert_close(net.conv_stem(images), whole(more))


@pytest.mark.parametrize(
    ("backbone", "in_chans"),
    [*((name, n) for name in ("test_resnet", "test_vit") for n in (1, 3, 5)), ("repvgg_a0", 1), ("airbench94", 3)],
)
def test_the_network_is_at_first_the_one_without_to_the_bit(backbone: str, in_chans: int, tmp_path: Path) -> None:
    torch.manual_seed(3)
    size = 64 if backbone == "repvgg_a0" else 32
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model(backbone, **({"img_size": size} if "vit" in backbone else {})).state_dict(), path)
    options: dict[str, Any] = {"pretrained": str(path), "image_size": size, "in_chans": in_chans}
    plain, ours = (lr.ImageClassifier(backbone, 4, coordinates=c, **options).eval() for c in (False, True))
    images = torch.randn(2, in_chans, size, size)
    with torch.inference_mode():
        assert torch.equal(plain.features(images), ours.features(images))
    state = ours.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
    assert set(state) - set(plain.state_dict()) == set(weights_of(ours))
    assert [g.name for g in plain.layer_groups] == [g.name for g in ours.layer_groups]


def test_they_train_with_the_stem() -> None:
    stem, *others = layer_groups(moved().backbone, nn.Identity())
    assert "backbone.conv1.0.coordinate_weight" in dict(stem.parameters)
    assert not any("coordinate" in name for group in others for name, _ in group.parameters)


def test_what_has_no_convolution_for_them_is_said_in_a_line() -> None:
    with pytest.raises(UserError, match=r"^model\.coordinates: the first layer of 'naflexvit.*' is no convolution"):
        lr.ImageClassifier(
            "naflexvit_base_patch16_gap", 4, pretrained=False, coordinates=True, backbone_kwargs={"depth": 1}
        )


def learnt(coordinates: bool) -> float:
    """Accuracy on other dots than the 200 that were trained on."""
    torch.manual_seed(1)
    module = lr.ImageClassifier("test_resnet", 4, pretrained=False, coordinates=coordinates, lr=3e-3, weight_decay=0.05,
                                schedule="one_cycle")  # fmt: skip
    data = lr.ImageDataModule("made:dots", val_fraction=0.8, image_size=64, batch_size=20, eval_batch_size=100,
                              num_workers=0, augment="none")  # fmt: skip
    trainer, _ = fit(module, data, max_epochs=5, check_val_every_n_epoch=5, limit_val_batches=3)
    return float(trainer.callback_metrics["val_accuracy"])


def test_where_only_the_place_tells_the_class_the_network_with_coordinates_learns_it_sooner() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with_them, without = learnt(True), learnt(False)
    finally:
        torch.set_num_threads(threads)
    assert with_them > 0.9
    assert without < with_them - 0.2


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run in two stages, the first with stored features, the second with larger images."""
    folder = tmp_path_factory.mktemp("run")
    stages = [
        Stage("head", epochs=1, train="head", lr=0.01, cache_features=True),
        Stage("all", epochs=2, lr=3e-3, image_size=48),
    ]
    model = classifier(coordinates=True, channels_last=True, pretrained="embedded:letters", backbone_kwargs=None)
    trainer, _ = fit(model, digits(), Stages(stages), max_epochs=-1)
    trainer.save_checkpoint(folder / "run.ckpt", weights_only=True)
    return folder / "run.ckpt"


def test_a_checkpoint_is_loaded_and_its_coordinates_have_trained(checkpoint: Path) -> None:
    model = lr.load(checkpoint)
    assert isinstance(model, lr.ImageClassifier)
    assert all(w.abs().max() > 0 for w in weights_of(model).values())
    images = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        assert not torch.equal(model(images), model(images.roll(5, dims=3)))


def test_weights_of_a_run_begin_a_run_with_coordinates_and_are_refused_by_one_without(
    checkpoint: Path, tmp_path: Path
) -> None:
    ours, theirs = weights_of(classifier(coordinates=True, pretrained=str(checkpoint))), weights_of(lr.load(checkpoint))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    with pytest.raises(UserError, match=r"is of a network with coordinates; give --model\.coordinates true") as said:
        classifier(pretrained=str(checkpoint))
    assert str(said.value).startswith("model.pretrained: '")
    trainer, _ = fit(classifier(), digits(), max_epochs=1)
    trainer.save_checkpoint(tmp_path / "without.ckpt", weights_only=True)
    begun = classifier(coordinates=True, pretrained=str(tmp_path / "without.ckpt"))
    assert weights_of(begun)
    assert not any(weight.any() for weight in weights_of(begun).values())


def test_a_heat_map_is_drawn_and_a_folder_of_timm_refused() -> None:
    model = moved()
    assert grad_cam(model, model.backbone, torch.randn(2, 3, 64, 64), torch.tensor([0, 1])).shape == (2, 64, 64)
    with pytest.raises(UserError, match="to: timm has no network whose first layer takes coordinates"):
        as_timm(model.backbone, model.head, 10)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_a_file_says_what_the_network_says(to: Literal["onnx", "torch"], tmp_path: Path) -> None:
    proof = export(moved(), tmp_path / "out", to=to, source=Blots(8)).proof  # refused, unless it does
    assert proof is not None
    assert proof.other_label == 0


@pytest.mark.slow
def test_a_compiled_network_computes_the_same() -> None:
    model, images = moved(), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model(images)
        model.backbone.compile(backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(model(images), expected)
