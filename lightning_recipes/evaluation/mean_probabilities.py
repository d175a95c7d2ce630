"""Ensembles as numbers: what averaged probabilities reach, how much the members differ, and the mean of weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_recipes.evaluation.intervals import wilson_interval

__all__ = ["Judged", "average_weights", "disagreement", "judge", "log_mean_probabilities", "means_of_last"]


@dataclass(frozen=True)
class Judged:
    """What probabilities are worth.

    Attributes:
        correct: Images whose most probable class is the true one.
        images: All images.
        loss: Mean negative log likelihood of the true class.
    """

    correct: int
    images: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of correct images."""
        return self.correct / self.images

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's interval of the accuracy."""
        return wilson_interval(self.correct, self.images)


def log_mean_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the members' probabilities, as logits (N, C) of the ensemble.

    Args:
        logits: Of each member, (N, C).
    """
    log_probabilities = torch.stack([member.float().log_softmax(dim=1) for member in logits])
    return log_probabilities.logsumexp(dim=0) - math.log(len(logits))


def judge(probabilities: Tensor, labels: Tensor) -> Judged:
    """Return what probabilities (N, C) are worth against labels (N,)."""
    true = probabilities.gather(1, labels[:, None]).clamp_min(torch.finfo(probabilities.dtype).tiny)
    correct = int((probabilities.argmax(dim=1) == labels).sum())
    return Judged(correct, len(labels), float(-true.log().mean()))


def means_of_last(probabilities: Tensor) -> list[Tensor]:
    """Return the mean probabilities (N, C) of the last m members, for m = 1 to all of them.

    Source: Huang et al. (2017), "Snapshot Ensembles: Train 1, Get M for Free", section 3.

    Args:
        probabilities: (N, M, C), members in the order of their making.
    """
    members = probabilities.shape[1]
    return [probabilities[:, members - m :].mean(dim=1) for m in range(1, members + 1)]


def disagreement(probabilities: Tensor, predicted: Tensor | None = None) -> list[list[float]]:
    """Return, for each pair of members, the share of images for which they predict different classes.

    Args:
        probabilities: (N, M, C).
        predicted: What is said, (N, M), or (N, M, C) with several labels an image (default: the most probable class).
    """
    predicted = probabilities.argmax(dim=2) if predicted is None else predicted
    differ = predicted[:, :, None] != predicted[:, None, :]
    shares = (differ.any(dim=3) if differ.ndim == 4 else differ).float().mean(dim=0)
    result: list[list[float]] = shares.tolist()
    return result


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor over several state dicts (a soup); whole numbers are the last one's.

    Source: Izmailov et al. (2018), "Averaging Weights Leads to Wider Optima and Better Generalization". Statistics of
    batch-norm layers have to be estimated anew for the mean.
    """
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if last.is_floating_point() else last.clone()
        for name, last in states[-1].items()
    }
