"""Barlow Twins: each column of the embeddings is to be the same for both views, and unlike all other columns."""

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules import BarlowTwinsProjectionHead
from torch import Tensor
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.pretraining.method import KEY, Encoder, Method, of_views
from lightning_recipes.modules.step_additions import StepKey

__all__ = ["BarlowTwins"]


class BarlowTwins(Method):
    """Redundancy reduction: the correlation of the two views' embeddings over the batch is to be the identity.

    Source: Zbontar et al. (2021), "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", section 2.

    When: many unlabelled pictures; it needs no negatives. Not with: batches smaller than the embeddings are wide by
    much, whose correlations say little. Several processes each standardise their own images' columns; the correlations
    are of all.

    Args:
        num_features: Width of the backbone's features.
        redundancy: Weight of the correlations between columns, >= 0: the paper's lambda.
        hidden: Width between the three layers of the projection, >= 1.
        width: Of the projection, >= 1.
    """

    def __init__(
        self,
        num_features: int,
        redundancy: float = 5e-3,
        hidden: int = 512,
        width: int = 512,
    ) -> None:
        super().__init__()
        refuse_bad_values(
            KEY,
            ("redundancy", redundancy, 0 <= redundancy < float("inf"), "a number >= 0"),
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
            ("width", width, width >= 1, "a number >= 1"),
        )
        self.projection = BarlowTwinsProjectionHead(num_features, hidden, width)
        self.correlation = BarlowTwinsLoss(redundancy, gather_distributed=True)

    @override
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the squared distance of the correlation from the identity, off the diagonal times ``redundancy``."""
        embeddings: Tensor = self.projection(of_views(encoder, images).flatten(0, 1)).float()
        first, second = embeddings.reshape(*images.shape[:2], -1).unbind(1)
        self.correlation.gather_distributed = self.training  # in a validation processes may have unequal shares
        return self.correlation(first, second), embeddings
