"""SimCLR: two views of an image are to be nearer to each other than to all other images of the batch."""

from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.pretraining.method import KEY, Encoder, Method, of_views
from lightning_recipes.modules.step_additions import StepKey

__all__ = ["SimCLR"]


class SimCLR(Method):
    """Contrastive learning with the other images of the batch, of all processes, as negatives.

    Source: Chen et al. (2020), "A Simple Framework for Contrastive Learning of Visual Representations", section 2.

    When: many unlabelled pictures, and batches of 256 and more. Not with: small batches, which have few negatives.

    Args:
        num_features: Width of the backbone's features.
        temperature: Of the softmax over similarities, > 0.
        hidden: Width between the two layers of the projection, >= 1.
        width: Of the projection, >= 1.
    """

    def __init__(
        self,
        num_features: int,
        temperature: float = 0.5,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__()
        refuse_bad_values(
            KEY,
            ("temperature", temperature, 0 < temperature < float("inf"), "a number > 0"),
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
            ("width", width, width >= 1, "a number >= 1"),
        )
        self.projection = SimCLRProjectionHead(num_features, hidden, width)
        self.contrast = NTXentLoss(temperature, gather_distributed=True)

    @override
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the normalised, temperature-scaled cross entropy."""
        embeddings: Tensor = self.projection(of_views(encoder, images).flatten(0, 1)).float()
        first, second = embeddings.reshape(*images.shape[:2], -1).unbind(1)
        self.contrast.gather_distributed = self.training  # in a validation processes may have unequal shares
        return self.contrast(first, second), embeddings
