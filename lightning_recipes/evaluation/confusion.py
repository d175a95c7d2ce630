"""Which classes are taken for which: counts, the pairs that are confused most, and each class's figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = ["ClassFigures", "Pair", "Share", "confusion_matrix", "most_confused", "per_class", "share_of"]


@dataclass(frozen=True)
class Share:
    """A share with Wilson's 95 % interval; None where nothing was counted."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ClassFigures:
    """What a class's images reach.

    Attributes:
        name: Of the class.
        images: True ones.
        precision: Of those that were said to be it, how many are.
        recall: Of those that are, how many were said to be; the sensitivity.
        specificity: Of those that are not, how many were not said to be.
        f1: Harmonic mean of precision and recall.
    """

    name: str
    images: int
    precision: Share
    recall: Share
    specificity: Share
    f1: Share


@dataclass(frozen=True)
class Pair:
    """Images of one class that were taken for another.

    Attributes:
        true: Name of the class they are.
        predicted: Name of the class that was said.
        images: How many.
        share: Of the true class's images.
    """

    true: str
    predicted: str
    images: int
    share: float


def confusion_matrix(labels: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Return counts (C, C), int64: row the true class, column the predicted one.

    Example:
        >>> import torch
        >>> confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    # Its check of each label takes ten times as long as the counting.
    return multiclass_confusion_matrix(predicted, labels, num_classes, validate_args=False)


def most_confused(matrix: Tensor, names: Sequence[str], *, most: int = 20) -> list[Pair]:
    """Return the pairs of different classes with the most images, largest first.

    Args:
        matrix: Of :func:`confusion_matrix`.
        names: Of the classes.
        most: No more than so many.
    """
    found = [
        Pair(names[i], names[j], int(matrix[i, j]), int(matrix[i, j]) / int(matrix[i].sum()))
        for i, j in matrix.nonzero().tolist()
        if i != j
    ]
    return sorted(found, key=lambda pair: (-pair.images, -pair.share))[:most]


def per_class(matrix: Tensor, names: Sequence[str]) -> list[ClassFigures]:
    """Return precision, recall, specificity and F1 of each class with 95 % intervals.

    F1 is ``2 J / (1 + J)`` with J the share of hits among all images that are the class or were said to be; its
    interval is J's, carried over.

    Args:
        matrix: Of :func:`confusion_matrix`.
        names: Of the classes.
    """
    hits, true, said = matrix.diag().tolist(), matrix.sum(dim=1).tolist(), matrix.sum(dim=0).tolist()
    figures, images = [], sum(true)
    for name, hit, are, were_said in zip(names, hits, true, said, strict=True):
        jaccard = share_of(hit, are + were_said - hit)
        f1 = Share(*(None if j is None else 2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high)))
        left_out = share_of(images - are - were_said + hit, images - are)
        figures.append(ClassFigures(name, are, share_of(hit, were_said), share_of(hit, are), left_out, f1))
    return figures


def share_of(hits: int, total: int) -> Share:
    """Return a share with its interval; of nothing, None."""
    return Share(None, None, None) if total == 0 else Share(hits / total, *wilson_interval(hits, total))
