"""Simple classifiers on features, judged on images that they have not seen: what a training has to beat."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.evaluation.out_of_fold import fitted_folds

__all__ = ["linear_right", "nearest_vote"]

MOST_FOLDS = 5
NEIGHBOURS = 5


def linear_right(features: Tensor, labels: Tensor, views: Sequence[Tensor]) -> list[NDArray[np.bool_]]:
    """Return whether each image is classified right by a logistic regression on the other folds; one array a view.

    Args:
        features: (N, F), that the regression is fitted on.
        labels: (N,); at least one class has two images.
        views: Features (N, F) of the same images seen in some way, such as mirrored; ``features`` itself is one.
    """
    folds, y = min(MOST_FOLDS, int(torch.bincount(labels).max())), labels.numpy()
    seen, right = [view.double().numpy() for view in views], [np.zeros(len(y), dtype=bool) for _ in views]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # is then not in every fold
        warnings.filterwarnings("ignore", message="The number of unique classes is greater")  # of two images a class
        for test, model in fitted_folds(features, labels, folds=folds):
            for one, view in zip(right, seen, strict=True):
                one[test] = model.predict(view[test]) == y[test]
    return right


def nearest_vote(features: Tensor, labels: Tensor) -> Tensor:
    """Return the class (N,) that most of the five nearest other images have, by the cosine of centred features.

    Of several classes with as many votes, that of the nearest image.

    Args:
        features: (N, F).
        labels: (N,).
    """
    x = torch.nn.functional.normalize(features - features.mean(dim=0), dim=1)
    alike = x @ x.T
    alike.fill_diagonal_(-torch.inf)
    near = alike.topk(min(NEIGHBOURS, len(labels) - 1), dim=1)
    votes = torch.zeros(len(labels), int(labels.max()) + 1)
    # A little more for the nearer ones decides between classes of as many votes, and no more than that.
    weights = 1 + 1e-3 * near.values
    return votes.scatter_add_(1, labels[near.indices], weights).argmax(dim=1)
