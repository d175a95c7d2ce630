"""An ensemble of classifiers, as a module like any other."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from typing_extensions import override

from lightning_recipes.classifier import ImageClassifier
from lightning_recipes.evaluation.ensemble import log_mean_probabilities
from lightning_recipes.evaluator import Evaluator
from lightning_recipes.models.snapshots import find_snapshots

__all__ = ["EnsembleClassifier"]


class EnsembleClassifier(Evaluator):
    """Averages the probabilities of its members; validates, tests and predicts as each of them does.

    Args:
        members: At least one, all for the same classes.
    """

    def __init__(self, members: Sequence[ImageClassifier]) -> None:
        super().__init__()
        first = members[0]
        self.members = nn.ModuleList(members)
        self.num_classes, self.class_names = first.num_classes, first.class_names
        self.input_config = first.input_config
        self.add_metrics()
        self.eval()

    @classmethod
    def from_snapshots(cls, folder: Path | str, like: ImageClassifier) -> "EnsembleClassifier":
        """Return the ensemble of a run's ``snapshots`` folder.

        Args:
            folder: With ``.safetensors`` files.
            like: A module of the snapshots' own class and settings; not changed.

        Raises:
            UserError: There are no snapshots, or they are of other classes.
        """
        members = []
        for snapshot in find_snapshots(Path(folder)):
            member = copy.deepcopy(like)
            checkpoint = snapshot.checkpoint()
            member.on_load_checkpoint(checkpoint)
            member.load_state_dict(checkpoint["state_dict"])
            members.append(member)
        return cls(members)

    @property
    def first(self) -> ImageClassifier:
        """The first member, whose loss and metrics count."""
        member = self.members[0]
        assert isinstance(member, ImageClassifier)
        return member

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W): the logarithm of the members' mean probabilities."""
        return log_mean_probabilities([member(images) for member in self.members])

    @override
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch of images or of stored features."""
        return log_mean_probabilities([member.logits_of(batch) for member in self.members])  # type: ignore[operator]

    @torch.inference_mode()
    def member_probabilities(self, batch: Any) -> Tensor:
        """Return the probabilities (N, M, C) of each member."""
        return torch.stack([m.logits_of(batch).float().softmax(dim=1) for m in self.members], dim=1)  # type: ignore[operator]

    @override
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return self.first.compute_loss(logits, labels)

    @override
    def configure_metrics(self, prefix: str) -> MetricCollection:
        """Return the members' own metrics."""
        return self.first.configure_metrics(prefix)
