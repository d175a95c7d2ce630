"""Residual networks for small images, by timm's names ``resnet10_cifar`` and ``resnet18_cifar``.

Source: He et al. (2016), "Deep Residual Learning", section 4.2: a first convolution of 3 x 3 that keeps the size, and
no pooling after it, where the network of ImageNet leaves 8 x 8 of 32 x 32 pixels.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from lightning_recipes.models.cifar_config import CIFAR10

__all__ = ["CifarResNet", "resnet10_cifar", "resnet18_cifar"]


class CifarResNet(ResNet):  # type: ignore[misc]
    """timm's residual network of basic blocks, with a stem for small images.

    Args:
        channels: Of the stages; the stem has the first one's.
        in_chans: Channels of an image.
        kwargs: Further arguments of timm's ``ResNet``.
    """

    def __init__(self, channels: tuple[int, ...] = (64, 128, 256, 512), in_chans: int = 3, **kwargs: Any) -> None:
        # A deep stem is as wide as it is told; its convolutions are then replaced by one.
        stem = {"stem_type": "deep", "stem_width": channels[0] // 2}
        super().__init__(BasicBlock, channels=tuple(channels), in_chans=in_chans, **stem, **kwargs)
        self.conv1 = nn.Conv2d(in_chans, channels[0], 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = nn.Identity()
        for info in self.feature_info:
            info["reduction"] = max(1, info["reduction"] // 4)


CONFIG = {**CIFAR10, "pool_size": (4, 4), "first_conv": "conv1"}
default_cfgs = generate_default_cfgs({"resnet10_cifar": CONFIG, "resnet18_cifar": CONFIG})


@register_model  # type: ignore[untyped-decorator]
def resnet10_cifar(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """Return the network of one block a stage, half as wide: 1.2 million weights."""
    options = {"layers": (1, 1, 1, 1), "channels": (32, 64, 128, 256), **kwargs}
    return build_model_with_cfg(CifarResNet, "resnet10_cifar", pretrained, **options)  # type: ignore[no-any-return]


@register_model  # type: ignore[untyped-decorator]
def resnet18_cifar(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """Return the network of two blocks a stage, 11.2 million weights."""
    options = {"layers": (2, 2, 2, 2), **kwargs}
    return build_model_with_cfg(CifarResNet, "resnet18_cifar", pretrained, **options)  # type: ignore[no-any-return]
