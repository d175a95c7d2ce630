"""The projection discriminator, every layer of which has spectral norm 1.

Sources: Miyato, Kataoka, Koyama and Yoshida (2018), "Spectral Normalization for Generative Adversarial Networks",
algorithm 1; Miyato and Koyama (2018), "cGANs with Projection Discriminator", equation 3.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_recipes.modules.gan.generator import BASE

__all__ = ["Discriminator", "held"]

SLOPE = 0.2  # of the leaky rectifiers, of DCGAN


class Discriminator(nn.Module):
    """Scores (N,) of images (N, C, S, S) and labels (N,) int64: the higher, the more an image of that class.

    ``w·h(x) + e_y·h(x)``, where h are features of the image, summed over its places, and e_y a vector of the class.
    In train mode each call takes one step of the power iteration that finds the spectral norms, in eval mode none.

    Args:
        num_classes: Number of classes.
        image_size: S, :data:`~lightning_recipes.modules.gan.generator.BASE` times a power of 2.
        channels: C.
        width: Channels of the first feature map; each one behind it has twice as many.
    """

    def __init__(self, num_classes: int, *, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        halvings = int(math.log2(image_size // BASE))
        layers: list[nn.Module] = []
        before = channels
        for after in (width * 2**level for level in range(halvings)):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)), nn.LeakyReLU(SLOPE)]
            before = after
        layers += [spectral_norm(nn.Conv2d(before, before, 3, padding=1)), nn.LeakyReLU(SLOPE)]
        self.features = nn.Sequential(*layers)
        self.score = spectral_norm(nn.Linear(before, 1))
        self.embedding = spectral_norm(nn.Embedding(num_classes, before))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (N,)."""
        features = self.features(images).sum(dim=(2, 3))
        scores: Tensor = self.score(features)[:, 0] + (self.embedding(labels) * features).sum(dim=1)
        return scores


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """Let a network be one fixed function inside: gradients go through it, but none to its weights."""
    trained, was_training = [p for p in network.parameters() if p.requires_grad], network.training
    network.requires_grad_(False).eval()
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        network.train(was_training)
