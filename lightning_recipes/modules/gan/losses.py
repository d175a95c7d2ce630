"""The hinge losses of the two adversaries, and shifts that both see images through."""

import torch
from torch import Tensor, nn

__all__ = ["discriminator_loss", "generator_loss", "shifted"]


def discriminator_loss(of_real: Tensor, of_made: Tensor) -> Tensor:
    """Return ``mean(max(0, 1 - D(x))) + mean(max(0, 1 + D(G(z))))``, a scalar to be lowered.

    Source: Miyato et al. (2018), "Spectral Normalization for Generative Adversarial Networks", equation 16, with the
    sign turned.

    Args:
        of_real: Scores (N,) of real images.
        of_made: Scores (M,) of made ones.

    Example:
        >>> float(discriminator_loss(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])))
        1.25
    """
    return nn.functional.relu(1 - of_real).mean() + nn.functional.relu(1 + of_made).mean()


def generator_loss(of_made: Tensor) -> Tensor:
    """Return ``-mean(D(G(z)))``, a scalar to be lowered; source as above, equation 17.

    Args:
        of_made: Scores (M,) of made images.

    Example:
        >>> float(generator_loss(torch.tensor([-3.0, 1.0])))
        1.0
    """
    return -of_made.mean()


def shifted(images: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """Return each image moved by up to ``limit`` pixels across and down; what comes in from outside is 0.

    Source: Zhao et al. (2020), "Differentiable Augmentation for Data-Efficient GAN Training", the policy
    ``translation``: a discriminator of few images does not know them by heart, and the generator does not learn to
    shift, since made images are shifted before they are judged, too.

    Args:
        images: (N, C, H, W).
        limit: In pixels, >= 0.
        generator: On the images' device.
    """
    if limit == 0:
        return images
    count, channels, height, width = images.shape
    by = torch.randint(2 * limit + 1, (2, count, 1), generator=generator, device=images.device)
    down = torch.arange(height, device=images.device) + by[0]
    across = torch.arange(width, device=images.device) + by[1]
    number = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    padded = nn.functional.pad(images, (limit,) * 4)
    return padded[number, channel, down[:, None, :, None], across[:, None, None, :]]
