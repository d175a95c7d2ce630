"""Probabilities for images that a classifier has not been fitted on: a linear one on features, fold by fold."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["fitted_folds", "linear_classifier", "out_of_fold"]


def out_of_fold(features: Tensor, labels: Tensor, *, num_classes: int, folds: int, seed: int = 0) -> Tensor:
    """Return probabilities (N, C) of each image from a logistic regression that was fitted on the other folds.

    Folds are stratified; features are standardised. A network that has learnt wrong labels by heart does not give them
    away, but the images that are like it, in its features, do.

    Args:
        features: (N, F).
        labels: (N,), as given.
        num_classes: C; a class that a fold has not seen has probability 0 there.
        folds: >= 2.
        seed: Of the folds.
    """
    x = features.double().numpy()
    found = np.zeros((len(x), num_classes))
    for test, model in fitted_folds(features, labels, folds=folds, seed=seed):
        found[np.ix_(test, model.classes_)] = model.predict_proba(x[test])
    return torch.from_numpy(found)


def fitted_folds(
    features: Tensor, labels: Tensor, *, folds: int, seed: int = 0
) -> Iterator[tuple[NDArray[np.int64], Any]]:
    """Yield the positions of each fold, and the classifier of scikit-learn that was fitted on the others.

    Arguments as of :func:`out_of_fold`.
    """
    from sklearn.model_selection import StratifiedKFold

    x, y = features.double().numpy(), labels.numpy()
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
        yield test, linear_classifier(features[train], labels[train])


def linear_classifier(features: Tensor, labels: Tensor) -> Any:
    """Return scikit-learn's logistic regression, fitted on features (N, F), standardised, and labels (N,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Strong regularisation: with more features than images a weak one would fit the wrong labels of the other folds.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return model.fit(features.double().numpy(), labels.numpy())
