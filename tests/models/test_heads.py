"""Heads: what they compute, against torch, timm and fastai's own layers, and that they begin at ln(classes)."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn

from lightning_recipes import BestCheckpoint, ImageClassifier, Stage, Stages, UserError, load
from lightning_recipes.models.heads import HEADS, CosineHead, create_head
from tests.small import digits, fit

ALL = ["linear", *HEADS]


def backbone_for(head: str) -> str:
    return "test_vit" if head == "attention" else "test_resnet"


def model(head: Any, backbone: str | None = None, **options: Any) -> ImageClassifier:
    torch.manual_seed(1)
    name = backbone or backbone_for(head if isinstance(head, str) else head["name"])
    return ImageClassifier(name, 10, pretrained=False, image_size=32, head=head, **options)


class Halved(nn.Module):
    """A head of somebody's own."""

    def __init__(self, num_features: int, num_classes: int, factor: float = 0.5) -> None:
        super().__init__()
        self.linear, self.factor = nn.Linear(num_features, num_classes), factor

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.linear(features) * self.factor
        return result


@pytest.mark.parametrize("head", ALL)
def test_the_first_loss_is_that_of_a_guess(head: str) -> None:
    images, labels = torch.randn(6, 3, 32, 32), torch.arange(6)
    network = model(head).eval()
    assert float(network.compute_loss(network(images), labels).detach()) == pytest.approx(math.log(10), rel=1e-5)


@pytest.mark.parametrize("head", ALL)
def test_it_learns_and_its_checkpoint_is_the_same_model(head: str, tmp_path: Path) -> None:
    stages = Stages([Stage("head", epochs=1, train="head", cache_features=True), Stage("all", epochs=1)])
    network = model(head, lr=0.01)
    before = [parameter.detach().clone() for parameter in network.head.parameters()]
    options = {"max_epochs": -1, "enable_checkpointing": True, "default_root_dir": str(tmp_path)}
    fit(network, digits(), stages, BestCheckpoint(), **options)  # type: ignore[arg-type]
    assert any(not torch.equal(a, b) for a, b in zip(before, network.head.parameters(), strict=True))
    images = torch.randn(2, 3, 32, 32)
    again = load(tmp_path / "checkpoints" / "best.ckpt")
    assert type(again.head) is type(network.head)
    assert again(images).shape == (2, 10)


def test_a_cosine_is_torchs_times_the_scale() -> None:
    head, features = CosineHead(5, 3, scale=7.0), torch.randn(4, 5)
    nn.init.normal_(head.weight)
    theirs = 7 * torch.cosine_similarity(features[:, None], head.weight[None].detach(), dim=2)
    torch.testing.assert_close(head(features).detach(), theirs)


def test_concat_pool_sees_mean_and_maximum_of_the_map() -> None:
    network = model("concat_pool").eval()
    images = torch.randn(2, 3, 32, 32)
    grid = network.backbone.forward_features(images)  # type: ignore[operator]
    theirs = SelectAdaptivePool2d(pool_type="catavgmax", flatten=True)(grid)
    torch.testing.assert_close(network.features(images), theirs)
    kinds = [type(layer).__name__ for layer in network.head.children()]
    assert kinds == ["BatchNorm1d", "Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear"]  # create_head's


def test_attention_sees_every_token() -> None:
    network = model("attention").eval()
    assert network.features(torch.randn(2, 3, 32, 32)).ndim == 3


def test_a_head_of_ones_own_by_its_path() -> None:
    path = f"{Halved.__module__}.Halved"
    head = create_head(
        {"class_path": path, "init_args": {"factor": 0.25}}, nn.Identity(), num_features=4, num_classes=2
    )
    assert type(head).__name__ == "Halved"
    assert head.factor == 0.25


@pytest.mark.parametrize(
    ("head", "backbone", "message"),
    [
        ("concat_pol", "test_resnet", r"model\.head: 'concat_pol' is not one of .*; did you mean concat_pool"),
        ("concat_pool", "test_vit", r"model\.head: 'test_vit' cannot pool as this head needs it \(catavgmax\)"),
        (
            {"name": "mlp", "hiden": 3},
            "test_resnet",
            r"model\.head\.hiden: .* no such argument; did you mean hidden",
        ),
        ({"name": "mlp", "hidden": 0}, "test_resnet", r"model\.head\.hidden: 0 is not a number >= 1"),
        ({"name": "linear", "bias": False}, "test_resnet", r"model\.head\.bias: 'linear' takes no arguments"),
        ({"name": "attention", "num_heads": 7}, "test_vit", r"model\.head\.num_heads: 7 is not a number of heads"),
    ],
)
def test_what_cannot_be_is_said(head: Any, backbone: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model(head, backbone)


def test_attention_on_a_map_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(UserError, match=r"model\.head: attention needs a backbone that gives tokens"):
        fit(model("attention", "test_resnet"), digits(), max_epochs=1)


def test_fastais_head_drops_half_as_much_before_its_hidden_layer() -> None:
    head = HEADS["concat_pool"](num_features=8, num_classes=2, dropout=0.5)
    assert [part.p for part in head.modules() if isinstance(part, nn.Dropout)] == [0.25, 0.5]
