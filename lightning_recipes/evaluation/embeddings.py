"""Whether embeddings still tell images apart: how far they are spread, and over how many directions."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["effective_rank", "spread"]


def spread(embeddings: Tensor) -> float:
    """Return how far the directions of embeddings are spread: 1 where they are even over a sphere, 0 where all are one.

    The standard deviation over images of embeddings of length one, times the root of their width, mean over their
    columns (Chen and He 2021, "Exploring Simple Siamese Representation Learning", section 4.1 and figure 2).

    Args:
        embeddings: (N, D), N >= 2.
    """
    directions = normalize(embeddings.double(), dim=1)
    return float(directions.std(dim=0).mean() * embeddings.shape[1] ** 0.5)


def effective_rank(embeddings: Tensor) -> float:
    """Return over how many directions embeddings vary, from 1 to the smaller of N - 1 and D; nan if one is not finite.

    The exponential of the entropy of the singular values' shares (Garrido et al. 2023, "RankMe", equation 1), here of
    embeddings less their mean: what all images have in common tells none apart.

    Args:
        embeddings: (N, D).
    """
    if not embeddings.isfinite().all():  # of a training that diverged, where the values are an error
        return math.nan
    values = torch.linalg.svdvals(embeddings.double() - embeddings.double().mean(dim=0))
    total = values.sum()
    if total <= 0:
        return 1.0
    shares = values / total + 1e-7
    return float((-(shares * shares.log()).sum()).exp())
