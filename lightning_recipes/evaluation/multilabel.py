"""What yes-or-no answers are worth: average precision, F1, and thresholds, for images that may have several labels."""

import torch
from torch import Tensor

from lightning_recipes.evaluation.halves import halves_of

__all__ = ["average_precision", "best_thresholds", "f1_scores", "held_out_answers", "mean_known"]

UNSEEN = 0.5  # threshold of a class that nothing is known of


def mean_known(values: Tensor) -> Tensor:
    """Return the mean over the last dimension of what is a number; nan where nothing is."""
    known = values.isfinite()
    return values.nan_to_num().masked_fill(~known, 0.0).sum(dim=-1) / known.sum(dim=-1)


def average_precision(labels: Tensor, probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the average precision of each class, (C,), or (B, C) with weights; nan for a class that no image has.

    ``sum_k (R_k - R_(k-1)) P_k`` over the different probabilities, largest first: scikit-learn's
    ``average_precision_score``.

    Args:
        labels: (N, C) of 0 and 1.
        probabilities: (N, C).
        weights: Of the images in each of B resamples, (B, N); one of 1 each by default.
    """
    given = torch.ones(1, len(labels), dtype=torch.float64) if weights is None else weights.double()
    found = [_of_class(labels[:, c], probabilities[:, c], given) for c in range(labels.shape[1])]
    result = torch.stack(found, dim=-1)
    return result[0] if weights is None else result


def _of_class(labels: Tensor, probabilities: Tensor, weights: Tensor) -> Tensor:
    order = probabilities.argsort(descending=True, stable=True)
    hits = weights[:, order] * labels[order].double()
    found, said = hits.cumsum(dim=1), weights[:, order].cumsum(dim=1)
    # Images of one probability are found together.
    last = torch.ones(len(order), dtype=torch.bool)
    last[:-1] = probabilities[order][1:] != probabilities[order][:-1]
    found, said = found[:, last], said[:, last]
    steps = torch.diff(found, dim=1, prepend=torch.zeros(len(weights), 1, dtype=torch.float64))
    precision = torch.where(said > 0, found / said.clamp_min(1e-300), 0.0)
    return (steps * precision).sum(dim=1) / found[:, -1]  # nan where there is none to find


def f1_scores(labels: Tensor, answers: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return macro and micro F1, scalars, or (B,) with weights; a class without labels and answers is left out.

    Args:
        labels: (N, C) of 0 and 1.
        answers: (N, C), bool.
        weights: As of :func:`average_precision`.
    """
    given = torch.ones(1, len(labels), dtype=torch.float64) if weights is None else weights.double()
    true, said = labels.double(), answers.double()
    hits, either = given @ (true * said), given @ true + given @ said
    of_class = torch.where(either > 0, 2 * hits / either.clamp_min(1e-300), torch.nan)
    macro, micro = mean_known(of_class), 2 * hits.sum(dim=1) / either.sum(dim=1)
    return (macro[0], micro[0]) if weights is None else (macro, micro)


def best_thresholds(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return the threshold of each class with the best F1, (C,): yes from there on; 0.5 for a class that no image has.

    Half-way between two probabilities that are next to each other, so that it is not a matter of one image.
    """
    thresholds = []
    for label, p in zip(labels.T.double(), probabilities.T.double(), strict=True):
        ranked, order = p.sort(descending=True, stable=True)
        hits, said = label[order].cumsum(0), torch.arange(1, len(p) + 1, dtype=torch.float64)
        f1 = 2 * hits / (said + label.sum())
        last = torch.ones(len(p), dtype=torch.bool)
        last[:-1] = ranked[1:] != ranked[:-1]
        best = int(f1.masked_fill(~last, -1).argmax())
        below = float(ranked[best + 1]) if best + 1 < len(p) else 0.0
        thresholds.append((float(ranked[best]) + below) / 2 if label.any() else UNSEEN)
    return torch.tensor(thresholds, dtype=torch.float64)


def held_out_answers(labels: Tensor, probabilities: Tensor) -> Tensor:
    """Return yes or no, (N, C), by thresholds that were chosen on the other half of the images, for both halves."""
    answers = probabilities.double() >= UNSEEN
    for theirs, ours in halves_of(len(labels)):
        if bool(ours.any()) and bool(theirs.any()):
            answers[ours] = probabilities[ours].double() >= best_thresholds(labels[theirs], probabilities[theirs])
    return answers
