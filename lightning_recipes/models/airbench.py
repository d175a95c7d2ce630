"""A small convolutional network for small images, by timm's name ``airbench94``.

Source: Jordan (2024), "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", section 3 and the listing of airbench94.
"""

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.models.cifar_config import CIFAR10

__all__ = ["Airbench", "WhitenedStem", "airbench94"]

BIAS_SCALE = 8.0
"""A bias that is multiplied so moves 64 times as far in a step of SGD: the paper's rate for biases of norms."""
LOGIT_SCALE = 1 / 9


class WhitenedStem(nn.Module):
    """Patches of 2 x 2 pixels, whitened by statistics of the training images: weights that are set and never trained.

    Args:
        in_chans: Channels of an image.
    """

    weight: Tensor

    def __init__(self, in_chans: int) -> None:
        super().__init__()
        self.out_channels = 2 * in_chans * 4
        weight = torch.empty(self.out_channels, in_chans, 2, 2)
        nn.init.kaiming_uniform_(weight, a=5**0.5)  # as of any convolution, until there are images
        self.register_buffer("weight", weight)
        self.bias = nn.Parameter(torch.zeros(self.out_channels))

    @torch.no_grad()
    def whiten_(self, images: Tensor, eps: float = 5e-4) -> None:
        """Set the weights to the directions of the patches' variance, each way, scaled to a variance of one.

        Args:
            images: (N, C, H, W), normalised.
            eps: Added to each variance.
        """
        channels = images.shape[1]
        patches = images.float().unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * 4)
        patches = patches - patches.mean(dim=0)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = (vectors / (values + eps).sqrt()).T.flip(0).reshape(-1, channels, 2, 2)
        self.weight.copy_(torch.cat([scaled, -scaled]))

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return (N, 8 C, H - 1, W - 1)."""
        return torch.nn.functional.conv2d(images, self.weight.to(images.dtype), self.bias)


class _Norm(nn.Module):
    """Batch-norm without a gain, and with a bias that is quick to move."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) + BIAS_SCALE * self.bias[:, None, None]  # type: ignore[no-any-return]


class _Block(nn.Sequential):
    def __init__(self, before: int, after: int, act_layer: Any) -> None:
        super().__init__(
            _identity_convolution(before, after),
            nn.MaxPool2d(2),
            _Norm(after),
            act_layer(),
            _identity_convolution(after, after),
            _Norm(after),
            act_layer(),
        )


def _identity_convolution(before: int, after: int) -> nn.Conv2d:
    """A 3 x 3 convolution whose first filters let each channel through."""
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[: min(before, after)])
    return convolution


class Airbench(nn.Module):
    """Whitened stem, three blocks of two convolutions, the largest value of each channel, one linear layer.

    Args:
        num_classes: C; 0 for no classifier.
        in_chans: Channels of an image.
        widths: Channels of the blocks.
        act_layer: Activation.
        global_pool: ``max`` or empty, for the map of features.
        drop_rate: Share of the features that the classifier does not see in training.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        widths: tuple[int, ...] = (64, 256, 256),
        act_layer: Any = nn.GELU,
        global_pool: str = "max",
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes, self.num_features, self.global_pool = num_classes, widths[-1], global_pool
        self.head_hidden_size = self.num_features
        self.stem = WhitenedStem(in_chans)
        self.act = act_layer()
        inputs = (self.stem.out_channels, *widths)
        self.blocks = nn.Sequential(*(_Block(a, b, act_layer) for a, b in zip(inputs, widths)))
        self.head_drop = nn.Dropout(drop_rate)
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)

    def whiten_(self, images: Tensor) -> None:
        """Set the stem by the statistics of images, (N, C, H, W), normalised."""
        self.stem.whiten_(images)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return timm's description of the blocks."""
        return {"stem": r"^stem", "blocks": r"^blocks\.(\d+)"}

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put another last layer in; arguments as of timm's models."""
        self.num_classes = num_classes
        if global_pool is not None:
            if global_pool not in ("", "max"):
                raise ValueError(f"airbench94 pools by max, not {global_pool}")
            self.global_pool = global_pool
        self.fc = nn.Linear(self.num_features, num_classes, bias=False) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Return (N, F, H / 8, W / 8)."""
        return self.blocks(self.act(self.stem(images)))  # type: ignore[no-any-return]

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return features (N, F), or logits of them."""
        if self.global_pool:
            features = features.amax(dim=(2, 3)) * LOGIT_SCALE
        features = self.head_drop(features)
        return features if pre_logits else self.fc(features)

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C), or features where there is no classifier."""
        return self.forward_head(self.forward_features(images))


default_cfgs = generate_default_cfgs({"airbench94": {**CIFAR10, "pool_size": (3, 3), "first_conv": None}})


@register_model  # type: ignore[untyped-decorator]
def airbench94(pretrained: bool = False, **kwargs: Any) -> Airbench:
    """Return the network of the paper, 1.97 million weights."""
    return build_model_with_cfg(Airbench, "airbench94", pretrained, **kwargs)  # type: ignore[no-any-return]
