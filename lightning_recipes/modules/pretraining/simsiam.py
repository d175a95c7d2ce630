"""SimSiam: each view's prediction is to be the other view's embedding, which it does not pull along."""

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.modules.pretraining.method import KEY, Encoder, Method, of_views
from lightning_recipes.modules.step_additions import StepKey

__all__ = ["SimSiam"]


class SimSiam(Method):
    """A Siamese network without negatives: one arm predicts the other, and no gradient flows into what is predicted.

    Source: Chen and He (2021), "Exploring Simple Siamese Representation Learning", section 3.

    When: many unlabelled pictures, and small batches too. Not with: a rate so high that the embeddings fall into one,
    which the training doctor names.

    Args:
        num_features: Width of the backbone's features.
        hidden: Width between the three layers of the projection, >= 1.
        width: Of the projection, >= 1.
        bottleneck: Width between the two layers of the prediction, >= 1; the paper's is a quarter of ``width``.
        stop_gradient: Let no gradient flow into what is predicted; without it the embeddings fall into one.
    """

    lowest_loss = -1.0

    def __init__(
        self,
        num_features: int,
        hidden: int = 512,
        width: int = 512,
        bottleneck: int = 128,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__()
        refuse_bad_values(
            KEY,
            ("hidden", hidden, hidden >= 1, "a number >= 1"),
            ("width", width, width >= 1, "a number >= 1"),
            ("bottleneck", bottleneck, bottleneck >= 1, "a number >= 1"),
        )
        self.projection = SimSiamProjectionHead(num_features, hidden, width)
        self.prediction = SimSiamPredictionHead(width, bottleneck, width)
        self.unlikeness, self.stop_gradient = NegativeCosineSimilarity(), stop_gradient

    @override
    def loss(self, encoder: Encoder, images: Tensor, labels: Tensor, key: StepKey) -> tuple[Tensor, Tensor]:
        """Return the mean of both negative cosine similarities, from -1 to 1."""
        embedded: Tensor = self.projection(of_views(encoder, images).flatten(0, 1))
        predicted = self.prediction(embedded).float().reshape(*images.shape[:2], -1)
        target = (embedded.detach() if self.stop_gradient else embedded).float().reshape(*images.shape[:2], -1)
        one, other = predicted.unbind(1), target.unbind(1)
        return (self.unlikeness(one[0], other[1]) + self.unlikeness(one[1], other[0])) / 2, embedded
