"""A Siamese network: pairs that belong together are to be near, others at least a margin apart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.pretraining.method import KEY, Encoder, Method, of_views
from lightning_recipes.modules.step_additions import StepKey

__all__ = ["Siamese", "contrastive_loss"]


class Siamese(Method):
    """Contrastive pairs by labels: alike are views of one image, and images of one class; others are of two classes.

    An image whose label is not known makes no pair but with itself.

    Source: Hadsell, Chopra and LeCun (2006), "Dimensionality Reduction by Learning an Invariant Mapping", section 2.1.

    When: labels, and distances that are to mean something: finding alike pictures, telling new classes apart. Not
    with: pictures without labels alone, which have no pair that is to be apart. Several processes each pair
    their own images.

    Args:
        num_features: Width of the backbone's features.
        margin: Distance that pairs of two classes are pushed apart to, > 0; embeddings have length one.
        width: Of the embeddings, >= 1.
    """

    needs_labels = True

    def __init__(self, num_features: int, margin: float = 1.0, width: int = 128) -> None:
        super().__init__()
        refuse_bad_values(
            KEY,
            ("margin", margin, 0 < margin <= 2, "a distance in (0, 2]: embeddings have length one"),
            ("width", width, width >= 1, "a number >= 1"),
        )
        self.margin, self.projection = margin, nn.Linear(num_features, width)

    @override
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the contrastive loss over the pairs of the batch."""
        embedded = normalize(self.projection(of_views(encoder, images).flatten(0, 1)).float(), dim=1)
        views = images.shape[1]
        own = torch.arange(len(images), device=labels.device).repeat_interleave(views)
        return contrastive_loss(embedded, own, labels.repeat_interleave(views), margin=self.margin), embedded


def contrastive_loss(embeddings: Tensor, images: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Return the mean over pairs of ``d^2 / 2`` of those alike and of ``max(0, margin - d)^2 / 2`` of the others.

    The mean of either kind counts a half, as there are many more of the others.

    Args:
        embeddings: (N, D).
        images: (N,), which image each is of.
        labels: (N,), -1 where it is not known.
        margin: Least distance of pairs of two classes.
    """
    with torch.autocast(embeddings.device.type, enabled=False):  # in 16 bits the distance of two that are near is lost
        lengths, products = embeddings.square().sum(dim=1), embeddings @ embeddings.T
    squared = (lengths[:, None] + lengths[None] - 2 * products).clamp_min(0)
    known = (labels[:, None] >= 0) & (labels[None] >= 0)
    same = images[:, None] == images[None]
    pairs = torch.triu(torch.ones_like(same), diagonal=1)
    alike = pairs & (same | (known & (labels[:, None] == labels[None])))
    apart = pairs & known & (labels[:, None] != labels[None])
    distance = squared.clamp_min(1e-12).sqrt()  # whose derivative at zero is not finite
    near = (squared * alike).sum() / (2 * alike.sum().clamp_min(1))
    far = ((margin - distance).clamp_min(0).square() * apart).sum() / (2 * apart.sum().clamp_min(1))
    return near + far
