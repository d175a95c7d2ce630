"""Losses where an image may have several labels: on logits (N, C) and labels (N, C) of 0 and 1."""

from collections.abc import Sequence

import torch
from timm.loss import AsymmetricLossMultiLabel
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere
from torchvision.ops import sigmoid_focal_loss

from lightning_recipes.errors import refuse_bad_values

__all__ = ["MULTILABEL_LOSSES"]

KEY = "model.loss"


class _PerClass(nn.Module):
    """A mean over images and classes.

    Args:
        class_weights: One a class, >= 0, of their mean (default: 1 each).
    """

    weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("weights", weights, persistent=False)

    def mean(self, losses: Tensor) -> Tensor:
        """Return the mean over images of losses (N, C), the classes of each weighted."""
        return losses.mean() if self.weights is None else (losses * self.weights).sum(1).mean() / self.weights.sum()


class MultilabelBinaryCrossEntropy(_PerClass):
    """One yes-or-no question a class: the mean of ``-t log s(z) - (1 - t) log(1 - s(z))``, s the sigmoid.

    With ``t = y (1 - e) + e / 2``. First value: ln 2.

    When: first of all. Not with: classes that few images have, whose questions nearly all are answered no (focal,
    asymmetric).

    Args:
        label_smoothing: e, in [0, 1].
        class_weights: One a class, or ``balanced`` in a recipe.
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        refuse_bad_values(KEY, ("label_smoothing", label_smoothing, 0 <= label_smoothing <= 1, "a number from 0 to 1"))
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        targets = labels.to(logits.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
        return self.mean(F.binary_cross_entropy_with_logits(logits, targets, reduction="none"))


class MultilabelFocal(_PerClass):
    """``-a_t (1 - p_t)^gamma log p_t`` of each question, p_t the probability of the right answer: torchvision's.

    Source: Lin et al. (2017), "Focal Loss for Dense Object Detection", section 3.2.

    When: most questions are easy noes. Not with: wrong labels, which are the hardest of all.

    Args:
        gamma: >= 0.
        alpha: Weight of the yeses, in [0, 1]; that of the noes is ``1 - alpha``. -1 weighs neither.
        class_weights: One a class, or ``balanced`` in a recipe.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        refuse_bad_values(
            KEY,
            ("gamma", gamma, gamma >= 0, "a number >= 0"),
            ("alpha", alpha, 0 <= alpha <= 1 or alpha == -1, "a weight in [0, 1], or -1"),
        )
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        return self.mean(sigmoid_focal_loss(logits, labels.to(logits.dtype), alpha=self.alpha, gamma=self.gamma))


class Asymmetric(nn.Module):
    """Noes that are sure already count less than yeses, those below a margin not at all: timm's, as a mean.

    Source: Ridnik et al. (2021), "Asymmetric Loss For Multi-Label Classification", equations 4 to 7.

    When: many classes, of which an image has few. Not with: a few classes that are common; calibrated probabilities.

    Args:
        gamma_neg: Exponent of the noes, >= 0.
        gamma_pos: Exponent of the yeses, >= 0.
        clip: Margin that is taken off the probability of a no, in [0, 1).
    """

    def __init__(self, gamma_neg: float = 4.0, gamma_pos: float = 1.0, clip: float = 0.05) -> None:
        super().__init__()
        refuse_bad_values(
            KEY,
            ("gamma_neg", gamma_neg, gamma_neg >= 0, "a number >= 0"),
            ("gamma_pos", gamma_pos, gamma_pos >= 0, "a number >= 0"),
            ("clip", clip, 0 <= clip < 1, "a margin in [0, 1)"),
        )
        self.loss = AsymmetricLossMultiLabel(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over images and classes, a scalar; timm's is the sum."""
        loss: Tensor = self.loss(logits.float(), labels) / labels.numel()
        return loss


MULTILABEL_LOSSES: dict[str, type[nn.Module]] = {
    "binary_cross_entropy": MultilabelBinaryCrossEntropy,
    "focal": MultilabelFocal,
    "asymmetric": Asymmetric,
}
