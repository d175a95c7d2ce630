"""GradCAM: heat where a model looks, layers found by themselves in many families, maps that follow the weights."""

import pytest
import torch
from torch import Tensor, nn

from lightning_recipes import ImageClassifier, UserError
from lightning_recipes.models.heatmaps import find_target, grad_cam

KNOWN = {"resnet18": "layer4", "vit_tiny_patch16_224": "blocks.11.norm1", "deit_tiny_patch16_224": "blocks.11.norm1"}
EVERY_DAY = (
    "resnet18", "convnext_atto", "mobilenetv3_small_050", "regnetx_002", "vit_tiny_patch16_224", "cait_xxs24_224",
    "swin_tiny_patch4_window7_224", "eva02_tiny_patch14_224", "mixer_s32_224", "pvt_v2_b0", "xcit_nano_12_p16_224",
    "poolformer_s12",
)  # fmt: skip
SLOW = (
    "vgg11", "densenet121", "efficientnet_b0", "deit_tiny_patch16_224", "maxvit_rmlp_pico_rw_256",
    "beit_base_patch16_224",
)  # fmt: skip
FAMILIES = [*EVERY_DAY, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_layer_is_found_in_every_family_and_its_map_has_places(name: str) -> None:
    torch.manual_seed(0)
    model = ImageClassifier(name, 3, pretrained=False).eval()
    nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
    size = model.input_config.image_size
    images = torch.randn(2, 3, size, size)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    target = find_target(model, model.backbone, images)
    assert target.layer == KNOWN.get(name, target.layer)
    heat = grad_cam(model, model.backbone, images, torch.tensor([0, 2]), target=target)
    assert heat.shape == (2, size, size)
    assert float(heat.min()) >= 0
    assert heat.amax(dim=(1, 2)).tolist() in ([1.0, 1.0], [1.0, 0.0], [0.0, 1.0])
    assert float(heat.std()) > 0.01  # not the same all over
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


class Corner(nn.Module):
    """Says class 1 as much as the upper left corner is bright, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU())
        nn.init.constant_(self.backbone[0].weight, 0.01)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        features = self.backbone(images)
        corner = features[:, :, :2, :2].mean(dim=(1, 2, 3)) * 4 + 0.01 * features.mean(dim=(1, 2, 3))
        return torch.stack([-corner, corner], dim=1)


def test_a_model_that_looks_at_one_corner_has_its_heat_there() -> None:
    model = Corner().eval()
    images = torch.rand(3, 3, 64, 64) * 0.01
    images[:, :, :16, :16] += 1.0
    target = find_target(model, model.backbone, images)
    heat = grad_cam(model, model.backbone, images, torch.ones(3, dtype=torch.int64), target=target)
    share = heat[:, :20, :20].sum(dim=(1, 2)) / heat.sum(dim=(1, 2))  # a border for the resizing of 8 px cells
    assert float(share.min()) >= 0.8


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_other_weights_give_another_map(name: str) -> None:
    """The sanity check of Adebayo et al. (2018), "Sanity Checks for Saliency Maps"."""
    maps = []
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = ImageClassifier(name, 3, pretrained=False, image_size=64).eval()
        nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
        maps.append(grad_cam(model, model.backbone, images, torch.zeros(4, dtype=torch.int64)).flatten())
    correlation = torch.corrcoef(torch.stack(maps))[0, 1]
    assert float(correlation) < 0.7


def test_one_image_at_a_time_gives_the_maps_of_the_batch() -> None:
    torch.manual_seed(0)
    model = ImageClassifier("test_vit", 3, pretrained=False, image_size=32).eval()
    nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
    images, classes = torch.randn(5, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1])
    together = grad_cam(model, model.backbone, images, classes)
    single = [grad_cam(model, model.backbone, images[i : i + 1], classes[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(single), atol=1e-3, rtol=1e-3)


def test_a_frozen_backbone_is_explained_too_and_a_wrong_layer_is_named() -> None:
    model = ImageClassifier("test_resnet", 3, pretrained=False).eval().requires_grad_(False)
    images = torch.randn(1, 3, 32, 32)
    assert find_target(model, model.backbone, images, layer="layer3").layer == "layer3"
    with pytest.raises(UserError, match="layer: the backbone has no 'layer33'; did you mean layer3"):
        find_target(model, model.backbone, images, layer="layer33")
    with pytest.raises(UserError, match="no map of the image"):
        find_target(model, model.backbone, images, layer="global_pool")
