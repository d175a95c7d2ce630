"""Layer groups of architectures from everywhere in timm: a partition, in order, that freezes what it says."""

import pytest
import timm
import torch
from torch import nn

from lightning_recipes.models.backbone import Backbone, create_backbone
from lightning_recipes.models.groups import freeze_to, layer_groups, set_modes

EVERY_DAY = {  # name: side of the images in pixels
    "resnet10t": 64, "resnetv2_50": 64, "regnetx_002": 64, "repvgg_a0": 64, "dla46_c": 64, "hrnet_w18_small": 64,
    "nf_regnet_b0": 64, "mobilenetv2_050": 64, "mobilenetv3_small_050": 64, "tf_efficientnet_lite0": 64,
    "ghostnet_050": 64, "convnext_atto": 64, "inception_next_atto": 64, "starnet_s1": 64, "repvit_m0_9": 64,
    "fastvit_t8": 64, "vit_tiny_patch16_224": 64, "deit_tiny_distilled_patch16_224": 64, "pit_ti_224": 64,
    "xcit_nano_12_p16_224": 64, "eva02_tiny_patch14_224": 56, "crossvit_tiny_240": 240, "levit_128s": 64,
    "coatnet_pico_rw_224": 64, "mobilevit_xxs": 64, "edgenext_xx_small": 64, "efficientvit_b0": 64,
    "poolformer_s12": 64, "mixer_s32_224": 64, "resmlp_12_224": 64, "gmlp_ti16_224": 64,
}  # fmt: skip
SLOW = {
    "res2net50_26w_4s": 64, "vgg11": 64, "densenet121": 64, "xception41": 64, "inception_v3": 96, "cspresnet50": 64,
    "eca_nfnet_l0": 64, "rexnet_100": 64, "selecsls42b": 64, "hardcorenas_a": 64, "convnextv2_atto": 64,
    "hgnetv2_b0": 64, "mambaout_femto": 64, "swin_tiny_patch4_window7_224": 64, "cait_xxs24_224": 64,
    "twins_svt_small": 64, "convit_tiny": 224, "mvitv2_tiny": 224, "focalnet_tiny_srf": 64, "davit_tiny": 64,
    "tiny_vit_5m_224": 224, "efficientformer_l1": 224, "visformer_tiny": 224, "maxvit_pico_rw_256": 64,
}  # fmt: skip
SIZES = EVERY_DAY | SLOW
ALL = [*EVERY_DAY, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def build(name: str) -> Backbone:
    torch.manual_seed(0)
    return create_backbone(name, num_classes=7, image_size=SIZES[name])


@pytest.mark.parametrize("name", ALL)
def test_groups_hold_every_parameter_and_module_once_and_the_head_last(name: str) -> None:
    built = build(name)
    groups = layer_groups(built.features, built.head)
    both = nn.ModuleDict({"backbone": built.features, "head": built.head})
    grouped = [pair for group in groups for pair in group.parameters]
    assert sorted(n for n, _ in grouped) == sorted(n for n, _ in both.named_parameters())
    assert len({id(p) for _, p in grouped}) == len(grouped)
    modules = [id(m) for group in groups for m in group.modules]
    assert sorted(modules) == sorted(id(m) for part in (built.features, built.head) for m in part.modules())
    assert len(groups) >= 4
    assert len({group.name for group in groups}) == len(groups)
    assert {id(p) for _, p in groups[-1].parameters} == {id(p) for p in built.head.parameters()}


@pytest.mark.parametrize("name", ALL)
def test_backbone_and_head_are_the_timm_model(name: str) -> None:
    built = build(name)
    size = SIZES[name]
    torch.manual_seed(0)
    fixed = timm.get_pretrained_cfg(name).fixed_input_size
    whole = timm.create_model(name, num_classes=7, **({"img_size": size} if fixed else {})).eval()
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        features = built.features.eval()(images)
        assert features.shape == (2, built.num_features)
        assert torch.equal(built.head(features), torch.zeros(2, 7))  # a first loss of ln(7) for any label
        if isinstance(whole.get_classifier(), nn.Linear):
            torch.testing.assert_close(whole.get_classifier()(features), whole(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["resnet10t", "mobilenetv2_050", "regnetx_002", "vit_tiny_patch16_224", "mixer_s32_224"]
)
def test_frozen_groups_get_no_gradient_and_keep_their_statistics(name: str) -> None:
    built = build(name)
    nn.init.normal_(built.head.weight)  # type: ignore[arg-type]
    groups = layer_groups(built.features, built.head)
    trainable = len(groups) // 2
    built.features.train()
    freeze_to(groups, trainable)
    set_modes(groups, trainable, fixed_norm=False)
    before = {n: b.clone() for n, b in built.features.named_buffers()}
    size = SIZES[name]
    built.head(built.features(torch.randn(4, 3, size, size))).square().sum().backward()
    for number, group in enumerate(groups):
        with_gradient = [p.grad is not None for _, p in group.parameters]
        assert all(with_gradient) if number >= len(groups) - trainable else not any(with_gradient), group.name
    frozen = {id(m) for group in groups[: len(groups) - trainable] for m in group.modules}
    for path, module in built.features.named_modules():
        for key, _ in module.named_buffers(recurse=False):
            same = torch.equal(before[f"{path}.{key}"], getattr(module, key))
            assert same or id(module) not in frozen, path


def test_fixed_norm_keeps_the_statistics_of_trained_layers_and_not_their_dropout() -> None:
    built = create_backbone("resnet10t", num_classes=7, backbone_kwargs={"drop_path_rate": 0.5})
    groups = layer_groups(built.features, built.head)
    built.features.train()
    set_modes(groups, len(groups), fixed_norm=True)
    training = {type(m).__name__: m.training for m in built.features.modules()}
    assert training["BatchNorm2d"] is False
    assert training["DropPath"] is True


def test_any_module_has_groups_of_its_children() -> None:
    backbone = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    names = [group.name for group in layer_groups(backbone, nn.Linear(3, 2))]
    assert names == ["0", "2", "head"]
