"""Losses by name, on logits (N, C) and class labels (N,); and how a recipe names any."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from lightning_recipes.components import Spec, check_arguments, import_object, parse_spec
from lightning_recipes.errors import UserError, nearest, refuse_bad_values

__all__ = ["LOSSES", "balanced_weights", "create_loss"]

KEY = "model.loss"


def balanced_weights(class_counts: Sequence[int]) -> list[float]:
    """Return weights that give every class the same say, ``n / (C * n_c)``, whose mean over the images is 1.

    Source: King and Zeng (2001), "Logistic Regression in Rare Events Data"; scikit-learn's ``class_weight="balanced"``.

    Example:
        >>> balanced_weights([30, 10])
        [0.6666666666666666, 2.0]
    """
    return [sum(class_counts) / (len(class_counts) * max(1, count)) for count in class_counts]


class Loss(nn.Module):
    """A loss with a weight for each class.

    Args:
        class_weights: One a class, >= 0 (default: 1 each).
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def mean(self, losses: Tensor, labels: Tensor) -> Tensor:
        """Return the mean of losses (N,), each weighted by its class; the weights add up to one."""
        if self.class_weights is None:
            return losses.mean()
        weights = self.class_weights[labels]
        return (losses * weights).sum() / weights.sum()


class CrossEntropy(Loss):
    """``-sum_c t_c log softmax(z)_c`` with ``t = (1 - s) onehot(y) + s / C``, in nats. First value: ln C.

    Source: Szegedy et al. (2015), "Rethinking the Inception Architecture", section 7, for the smoothing s.

    When: nearly always. Not with smoothing: where calibrated probabilities are wanted from few epochs, or the model is
    to be a teacher (Mueller et al. 2019).

    Args:
        label_smoothing: s, in [0, 1]; 0.1 is usual where it helps.
        class_weights: One a class, or ``balanced`` in a recipe.
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        self.label_smoothing = _share("label_smoothing", label_smoothing)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        return F.cross_entropy(logits, labels, weight=self.class_weights, label_smoothing=self.label_smoothing)


class BinaryCrossEntropy(Loss):
    """One yes-or-no question a class: the mean over classes of ``-t log s(z) - (1 - t) log(1 - s(z))``, s the sigmoid.

    With ``t = (1 - s) onehot(y) + s / C``. First value: ln 2.

    Source: Wightman et al. (2021), "ResNet strikes back", section 3.2.

    When: with mixup and cutmix, whose images show two classes. Not with: few epochs; with many classes the gradient is
    small at first (raise the rate).

    Args:
        label_smoothing: s, in [0, 1].
        class_weights: One a class, or ``balanced`` in a recipe.
    """

    def __init__(self, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        self.label_smoothing = _share("label_smoothing", label_smoothing)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        classes = logits.shape[1]
        targets = F.one_hot(labels, classes).to(logits.dtype) * (1 - self.label_smoothing)
        losses = F.binary_cross_entropy_with_logits(logits, targets + self.label_smoothing / classes, reduction="none")
        return self.mean(losses.mean(dim=1), labels)


class Focal(Loss):
    """``-(1 - p_y)^gamma log p_y``, p the softmax: images that are right already count less.

    Source: Lin et al. (2017), "Focal Loss for Dense Object Detection", section 3.2, there with a sigmoid.

    When: many easy images hide a few hard ones. Not with: wrong labels, which are the hardest images of all.

    Args:
        gamma: >= 0; 0 is cross-entropy. The paper's 2 is the default.
        class_weights: One a class (the paper's alpha), or ``balanced`` in a recipe.
    """

    def __init__(self, gamma: float = 2.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        refuse_bad_values(KEY, ("gamma", gamma, gamma >= 0, "a number >= 0"))
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None]).squeeze(1)
        return self.mean(-((1 - log_p.exp()) ** self.gamma) * log_p, labels)


class SoftF1(nn.Module):
    """``1 - mean_c 2 sum_i p_ic y_ic / (sum_i p_ic + sum_i y_ic)``: macro F1 of the batch, probabilities for counts.

    A class that is not in the batch counts as an F1 of 0, which pushes its probabilities down. In [0, 1].

    Source: the Dice loss of Milletari et al. (2016), "V-Net", over a batch in place of the voxels.

    When: macro F1 is what is reported, and batches hold every class. Not with: many classes or small batches; it is not
    a mean over images, so two batches of 16 are not one of 32, and accumulating gradients is not a larger batch.
    """

    over_batch = True  # which `check` would take for a mistake otherwise

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of the batch, a scalar."""
        p, y = logits.softmax(dim=1), F.one_hot(labels, logits.shape[1]).to(logits.dtype)
        f1 = 2 * (p * y).sum(dim=0) / (p.sum(dim=0) + y.sum(dim=0)).clamp_min(torch.finfo(logits.dtype).eps)
        return 1 - f1.mean()


class MeanSquaredError(Loss):
    """``sum_c (p_c - onehot(y)_c)^2``, p the softmax: the Brier score, in [0, 2].

    Source: Brier (1950), "Verification of Forecasts Expressed in Terms of Probability".

    When: wrong labels are many, as no image can cost more than 2. Not with: a first training from scratch; where the
    model is sure and wrong the gradient vanishes.

    Args:
        class_weights: One a class, or ``balanced`` in a recipe.
    """

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean, a scalar."""
        p = logits.softmax(dim=1)
        return self.mean((p - F.one_hot(labels, logits.shape[1])).square().sum(dim=1), labels)


LOSSES: dict[str, type[nn.Module]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "focal": Focal,
    "soft_f1": SoftF1,
    "mean_squared_error": MeanSquaredError,
}
OTHER_NAMES = {
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "bcewithlogitsloss": "binary_cross_entropy",
    "brier": "mean_squared_error",
    "categorical_crossentropy": "cross_entropy",
    "ce": "cross_entropy",
    "crossentropy": "cross_entropy",
    "crossentropyloss": "cross_entropy",
    "dice": "soft_f1",
    "f1": "soft_f1",
    "mse": "mean_squared_error",
    "mseloss": "mean_squared_error",
    "nll": "cross_entropy",
    "softmax": "cross_entropy",
}
"""What others call a loss, in small letters, and its name here."""


def create_loss(
    spec: Spec,
    *,
    num_classes: int,
    class_counts: Sequence[int] | None = None,
    losses: Mapping[str, type[nn.Module]] = LOSSES,
) -> nn.Module:
    """Return the loss that a recipe names, called with logits (N, C) and labels.

    Args:
        spec: One of ``losses`` with its arguments, such as ``{"name": "cross_entropy", "label_smoothing": 0.1}``,
            or the import path of a module class. ``class_weights: balanced`` becomes :func:`balanced_weights`.
        num_classes: C.
        class_counts: Training images of each class, for ``balanced``.
        losses: Of the task, by name.

    Raises:
        UserError: Unknown loss or argument, or weights that are not one a class.
    """
    name, arguments = parse_spec(KEY, spec)
    if name not in losses and "." not in name:
        other = OTHER_NAMES.get(name.lower())
        known = [other] if other is not None and other in losses else nearest(name.lower(), losses)
        hint = f"; did you mean {', '.join(known)}?" if known else "; give one of them, or a class by its import path"
        raise UserError(f"{KEY}: '{name}' is not a loss ({', '.join(losses)}){hint}")
    cls = losses.get(name) or import_object(KEY, name)
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise UserError(f"{KEY}: '{name}' is not a subclass of torch.nn.Module; name a class that is")
    check_arguments(KEY, cls, arguments)
    if arguments.get("class_weights") is not None and "class_weights" in inspect.signature(cls).parameters:
        weights = _class_weights(arguments["class_weights"], num_classes, class_counts)
        arguments = {**arguments, "class_weights": weights}
    return cls(**arguments)


def _class_weights(
    given: Sequence[float] | Literal["balanced"], num_classes: int, class_counts: Sequence[int] | None
) -> Sequence[float]:
    if given == "balanced":
        if class_counts is None:
            raise UserError(f"{KEY}.class_weights: balanced needs model.class_counts, the images of each class")
        return balanced_weights(class_counts)
    weights = [] if isinstance(given, str) else given
    if len(weights) != num_classes or not all(weight >= 0 for weight in weights) or not any(weights):
        what = f"{num_classes} weights >= 0, one of them > 0"
        raise UserError(f"{KEY}.class_weights: {given} is neither 'balanced' nor {what}")
    return weights


def _share(key: str, value: float) -> float:
    refuse_bad_values(KEY, (key, value, 0 <= value <= 1, "a number from 0 to 1"))
    return value
