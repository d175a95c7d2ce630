"""Labels that are probably wrong, by confident learning.

Source: Northcutt et al. (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", sections 3.1 and 3.2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LabelIssue", "label_issues"]


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label the model does not believe.

    Attributes:
        row: Of the predictions.
        given: The label.
        suggested: The class that the model takes it for.
        margin: Probability of the given label less that of the suggested one, in [-1, 0]; the lower the more probable
            is the mistake.
        confident: Counted as a mistake by confident learning: the suggested class is as probable as that class's own
            images are on average.
    """

    row: int
    given: int
    suggested: int
    margin: float
    confident: bool


def label_issues(labels: Tensor, probabilities: Tensor) -> list[LabelIssue]:
    """Return the images whose most probable class is another than their label, most probable mistakes first.

    The probabilities have to come from a model that was not trained on these labels.

    Args:
        labels: (N,), as given.
        probabilities: (N, C).
    """
    classes = probabilities.shape[1]
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    # The paper's t_j: how sure the model is of class j on the images that carry it.
    sums = torch.zeros(classes, dtype=own.dtype).index_add_(0, labels, own)
    thresholds = sums / torch.bincount(labels, minlength=classes).clamp_min(1)
    believed = torch.where(probabilities >= thresholds, probabilities, torch.full_like(probabilities, -1.0))
    confident_class = believed.argmax(dim=1)
    confident = (believed.max(dim=1).values >= 0) & (confident_class != labels)
    best, predicted = probabilities.max(dim=1)
    found = [
        LabelIssue(row, int(labels[row]), int(predicted[row]), float(own[row] - best[row]), bool(confident[row]))
        for row in (predicted != labels).nonzero().flatten().tolist()
    ]
    return sorted(found, key=lambda issue: (not issue.confident, issue.margin))
