"""Classifiers on features that nothing trains further: a linear one, and the nearest neighbours."""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["linear_probe", "nearest_classes"]

STRENGTHS = 10.0 ** np.arange(-4, 1)
"""Of which the one that is best on held-out folds of the labelled images is taken: scikit-learn's C."""
FOLDS = 3
TEMPERATURE = 0.07


def linear_probe(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return weights (C, F) and biases (C,), float32, of a logistic regression on features as they are.

    Fitted on standardised features; how strongly the weights are held small is chosen by three folds of these images.
    A class without an image is never predicted.

    Args:
        features: (N, F).
        labels: (N,), of at least two classes.
        num_classes: C.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

    x, y = features.double().numpy(), labels.numpy()
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = (x - mean) / std
    folds = min(FOLDS, int(np.bincount(y)[np.unique(y)].min()))
    with warnings.catch_warnings():
        for kind in (ConvergenceWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=kind)
        fitted = (
            LogisticRegressionCV(Cs=STRENGTHS, cv=folds, max_iter=100).fit(x, y)
            if folds > 1
            else LogisticRegression(C=STRENGTHS[1], max_iter=100).fit(x, y)
        )
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # one row says both
        coefficients, intercepts = (
            np.stack([-coefficients[0], coefficients[0]]) / 2,
            np.stack([-intercepts[0], intercepts[0]]) / 2,
        )
    weight, bias = np.zeros((num_classes, x.shape[1])), np.full(num_classes, -1e4)
    weight[fitted.classes_] = coefficients / std
    bias[fitted.classes_] = intercepts - weight[fitted.classes_] @ mean
    return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()


def nearest_classes(known: Tensor, labels: Tensor, features: Tensor, *, neighbours: int, num_classes: int) -> Tensor:
    """Return the class (M,) of the nearest known features, each weighing ``exp(cosine / 0.07)``.

    Source: Wu et al. (2018), "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4.

    Args:
        known: (N, F).
        labels: (N,), of them.
        features: (M, F), on the same device.
        neighbours: How many vote, >= 1; all where there are fewer.
        num_classes: C.
    """
    with torch.autocast(features.device.type, enabled=False):  # half precision would tell few neighbours apart
        alike = normalize(features.float(), dim=1) @ normalize(known.float(), dim=1).T
    near = alike.topk(min(neighbours, len(known)), dim=1)
    votes = torch.zeros(len(features), num_classes, device=features.device)
    return votes.scatter_add_(1, labels[near.indices], (near.values / TEMPERATURE).exp()).argmax(dim=1)
