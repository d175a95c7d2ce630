"""Classifiers on features, against scikit-learn."""

import numpy as np
import torch
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lightning_recipes.evaluation.feature_probes import NEIGHBOURS, nearest_vote


def test_nearest_neighbours_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(30)
    features = torch.randn(120, 6, generator=generator) + torch.nn.functional.one_hot(labels, 6) * 1.5
    centred = (features - features.mean(dim=0)).numpy()
    theirs = KNeighborsClassifier(NEIGHBOURS, metric="cosine", algorithm="brute")
    votes = cross_val_predict(theirs, centred, labels.numpy(), cv=LeaveOneOut(), method="predict_proba")
    clear = np.sort(votes, axis=1)[:, -1] > np.sort(votes, axis=1)[:, -2]  # ties are another matter
    ours = nearest_vote(features, labels).numpy()
    assert clear.sum() > 80
    assert (ours[clear] == votes.argmax(axis=1)[clear]).all()
