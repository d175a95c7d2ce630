"""Residual networks for small images, by what the papers say of them."""

import pytest
import timm
import torch

from lightning_recipes.models.backbone import create_backbone
from lightning_recipes.models.groups import layer_groups


# 11.17 million: the network that is called ResNet-18 on CIFAR-10 in nearly all papers (DeVries and Taylor 2017, say).
@pytest.mark.parametrize(("name", "millions"), [("resnet10_cifar", 1.23), ("resnet18_cifar", 11.17)])
def test_the_stem_keeps_the_size_and_the_last_map_is_four_pixels_wide(name: str, millions: float) -> None:
    model = timm.create_model(name, num_classes=10)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    images = torch.zeros(2, 3, 32, 32)
    assert model.maxpool(model.act1(model.bn1(model.conv1(images)))).shape[2:] == (32, 32)
    assert model.forward_features(images).shape[2:] == (4, 4)


def test_the_stages_are_timms_and_their_sizes_are_told_to_whom_asks() -> None:
    ours, timms = timm.create_model("resnet18_cifar"), timm.create_model("resnet18", num_classes=10)
    for name in ("layer1", "layer2", "layer3", "layer4", "fc"):
        own, other = getattr(ours, name).state_dict(), getattr(timms, name).state_dict()
        assert {key: value.shape for key, value in own.items()} == {key: value.shape for key, value in other.items()}
    maps = timm.create_model("resnet18_cifar", features_only=True)
    found = [32 // one.shape[2] for one in maps(torch.zeros(1, 3, 32, 32))]
    assert found == maps.feature_info.reduction()


def test_it_is_a_backbone_of_any_channels_and_widths() -> None:
    options = {"channels": [8, 16, 24, 32], "in_chans": 5}
    built = create_backbone("resnet10_cifar", num_classes=7, pretrained=False, backbone_kwargs=options)
    assert [group.name for group in layer_groups(built.features, built.head)][-1] == "head"
    assert built.head(built.features(torch.zeros(2, 5, 32, 32))).shape == (2, 7)
    assert (built.num_features, built.input.image_size) == (32, 32)
