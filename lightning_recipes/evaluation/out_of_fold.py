"""Probabilities for images that a classifier has not been fitted on: a linear one on features, fold by fold."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["out_of_fold"]


def out_of_fold(
    features: Tensor, labels: Tensor, *, num_classes: int, folds: int, seed: int = 0, judged: Tensor | None = None
) -> Tensor:
    """Return probabilities (N, C) of each image from a logistic regression that was fitted on the other folds.

    Folds are stratified; features are standardised. A network that has learnt wrong labels by heart does not give them
    away, but the images that are like it, in its features, do.

    Args:
        features: (N, F).
        labels: (N,), as given.
        num_classes: C; a class that a fold has not seen has probability 0 there.
        folds: >= 2.
        seed: Of the folds.
        judged: Features (N, F) of the same images seen another way, to judge in the place of those that are fitted.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = features.double().numpy(), labels.numpy()
    seen = x if judged is None else judged.double().numpy()
    found = np.zeros((len(y), num_classes))
    # Strong regularisation: with more features than images a weak one would fit the wrong labels of the other folds.
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        model.fit(x[train], y[train])
        found[np.ix_(test, model.classes_)] = model.predict_proba(seen[test])
    return torch.from_numpy(found)
