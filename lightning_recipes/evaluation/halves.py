"""Images in two halves: one to choose something on, the other to judge it."""

import torch
from torch import Tensor

from lightning_recipes.randomness import generator_for

__all__ = ["halves_of"]


def halves_of(images: int) -> list[tuple[Tensor, Tensor]]:
    """Return, for each half of the images, what to choose on and what to judge, as masks (N,).

    By lot, the same for every call of this size: neighbours are often alike, and classes may alternate.
    """
    one = torch.zeros(images, dtype=torch.bool)
    one[torch.randperm(images, generator=generator_for("halves", images, seed=0))[: (images + 1) // 2]] = True
    return [(one, ~one), (~one, one)]
