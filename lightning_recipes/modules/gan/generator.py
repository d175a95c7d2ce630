"""The generator of DCGAN, told which class to make.

Source: Radford, Metz and Chintala (2016), "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", section 3; the class by a learned vector beside the latent one, as in Mirza and Osindero (2014).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["BASE", "Generator"]

BASE = 4
"""Side in pixels of the first feature map; each layer behind it doubles the side."""
INIT_STD = 0.02  # of DCGAN, section 4


class Generator(nn.Module):
    """Images (N, C, S, S) from -1 to 1, of latent vectors (N, L) and labels (N,) int64.

    Args:
        num_classes: Number of classes.
        image_size: S, :data:`BASE` times a power of 2.
        channels: C.
        latent_size: L.
        width: Channels of the last hidden feature map; each one before it has twice as many.
    """

    def __init__(self, num_classes: int, *, image_size: int, channels: int, latent_size: int, width: int) -> None:
        super().__init__()
        doublings = int(math.log2(image_size // BASE))
        widths = [width * 2**level for level in reversed(range(doublings))]
        self.embedding = nn.Embedding(num_classes, latent_size)
        self.first = nn.Sequential(
            nn.Linear(2 * latent_size, widths[0] * BASE**2, bias=False),
            nn.Unflatten(1, (widths[0], BASE, BASE)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [_doubled(before, after, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(_doubled(widths[-1], channels, bias=True), nn.Tanh())
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, std=INIT_STD)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, C, S, S), from -1 to 1."""
        images: Tensor = self.last(self.blocks(self.first(torch.cat([latents, self.embedding(labels)], dim=1))))
        return images


def _doubled(before: int, after: int, *, bias: bool) -> nn.Module:
    """A layer that doubles the side; a kernel of twice the stride draws no checkerboard (Odena et al. 2016)."""
    return nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=bias)
