"""The network of "94% on CIFAR-10 in 3.29 Seconds", by what the paper says of it."""

import pytest
import timm
import torch

from lightning_recipes.models.airbench import Airbench, WhitenedStem
from lightning_recipes.models.backbone import create_backbone
from lightning_recipes.models.groups import layer_groups


def images(count: int = 64, size: int = 32) -> torch.Tensor:
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic")


def test_it_has_the_papers_weights_and_shape() -> None:
    model = timm.create_model("airbench94", num_classes=10)
    assert isinstance(model, Airbench)
    assert sum(p.numel() for p in model.parameters()) + model.stem.weight.numel() == pytest.approx(1.97e6, rel=0.01)
    assert model(images(2)).shape == (2, 10)
    assert model.forward_features(images(2)).shape == (2, 256, 3, 3)


def test_whitened_patches_have_variance_one_and_nothing_in_common() -> None:
    stem = WhitenedStem(3)
    stem.whiten_(images(256), eps=0.0)
    with torch.no_grad():
        responses = stem(images(256)).permute(1, 0, 2, 3).flatten(1)[:12]
    assert (torch.cov(responses) - torch.eye(12)).abs().max() < 0.05
    assert torch.equal(stem.weight[12:], -stem.weight[:12])


def test_the_stem_is_never_trained_and_the_first_filters_let_the_image_through() -> None:
    model = timm.create_model("airbench94", num_classes=10)
    assert "stem.weight" not in dict(model.named_parameters())
    assert "stem.weight" in model.state_dict()
    convolution = model.blocks[0][0]
    x = torch.randn(2, 24, 9, 9)
    assert torch.equal(convolution(x)[:, :24], x)


def test_it_is_a_backbone_with_layer_groups_and_a_first_loss_of_ln_classes() -> None:
    built = create_backbone("airbench94", num_classes=7, pretrained=False)
    assert [group.name for group in layer_groups(built.features, built.head)] == [
        *("stem", "blocks.0", "blocks.1", "blocks.2", "head")
    ]
    loss = torch.nn.functional.cross_entropy(built.head(built.features(images(4))), torch.tensor([0, 1, 2, 3]))
    assert loss.item() == pytest.approx(torch.tensor(7.0).log().item(), abs=1e-6)
    assert (built.num_features, built.input.image_size) == (256, 32)
