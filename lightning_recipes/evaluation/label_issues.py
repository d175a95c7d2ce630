"""Labels that are probably wrong, by confident learning.

Source: Northcutt et al. (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", sections 3.1 and 3.2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LabelIssue", "confident_classes", "label_issues"]

ROUNDING = 1e-9


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label the model does not believe.

    Attributes:
        row: Of the predictions.
        given: The label.
        suggested: The class that the model takes it for: the confident class where ``confident``, else the most
            probable one.
        margin: Probability of the given label less that of the suggested one, in [-1, 1]; the lower the more probable
            is the mistake. Above 0 where the label is the most probable class but not a confident one.
        confident: Counted as a mistake by confident learning: the suggested class is the most probable of those that
            are as probable as on that class's own images on average.
    """

    row: int
    given: int
    suggested: int
    margin: float
    confident: bool


def label_issues(labels: Tensor, probabilities: Tensor) -> list[LabelIssue]:
    """Return the images that confident learning counts as mislabelled, most probable mistakes first, then the others.

    The others are those whose most probable class is another than their label. The probabilities have to come from a
    model that was not trained on these labels. Where they are no numbers, nothing is doubted.

    Args:
        labels: (N,), as given.
        probabilities: (N, C).
    """
    p = probabilities.double()
    if not p.isfinite().all():
        return []
    own = p.gather(1, labels[:, None]).squeeze(1)
    believed = confident_classes(labels, p)
    confident = (believed >= 0) & (believed != labels)
    suggested = torch.where(confident, believed, p.argmax(dim=1))
    margins = own - p.gather(1, suggested[:, None]).squeeze(1)
    found = [
        LabelIssue(row, int(labels[row]), int(suggested[row]), float(margins[row]), bool(confident[row]))
        for row in (suggested != labels).nonzero().flatten().tolist()
    ]
    return sorted(found, key=lambda issue: (not issue.confident, issue.margin))


def confident_classes(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return each image's confident class, (N,); -1 where there is none.

    It is the most probable of the classes j whose probability reaches t_j, the mean probability of class j over the
    images that are labelled j (equations 1 and 2 of the paper). A class without images has no threshold to reach.

    Args:
        labels: (N,), as given.
        probabilities: (N, C), float64.
    """
    classes = probabilities.shape[1]
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    images = torch.bincount(labels, minlength=classes)
    thresholds = torch.zeros(classes, dtype=own.dtype).index_add_(0, labels, own) / images  # nan without images
    # The mean of equal numbers can be an ulp above them.
    reached = probabilities >= thresholds - ROUNDING
    best, confident = probabilities.masked_fill(~reached, -1.0).max(dim=1)
    return torch.where(best >= 0, confident, -1)
