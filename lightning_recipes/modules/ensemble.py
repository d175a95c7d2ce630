"""An ensemble of classifiers, as a module like any other."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from typing_extensions import override

from lightning_recipes.data.batch import Features
from lightning_recipes.data.pictures import Pictures, images_of
from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.snapshot_files import find_snapshots
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.modules.evaluator import Evaluator

__all__ = ["EnsembleClassifier"]


class EnsembleClassifier(Evaluator):
    """Averages the probabilities of its members; validates, tests and predicts as each of them does.

    Each member sees pictures as it was judged with, also where another was judged at another size.

    Args:
        members: At least one, all for the same classes.
    """

    def __init__(self, members: Sequence[ClassificationModule]) -> None:
        super().__init__()
        first = members[0]
        self.members = nn.ModuleList(members)
        self.num_classes, self.class_names, self.task = first.num_classes, first.class_names, first.task
        self.input_config, self.judged_input = first.input_config, first.judged_input
        self.reject_below = first.reject_below
        self.add_metrics()
        self.eval()

    @classmethod
    def from_snapshots(cls, folder: Path | str, like: ClassificationModule) -> "EnsembleClassifier":
        """Return the ensemble of a run's ``snapshots`` folder; :func:`lightning_recipes.load` needs the folder alone.

        Args:
            folder: With ``.safetensors`` files.
            like: A module of the snapshots' own class and settings; not changed.

        Raises:
            UserError: There are no snapshots, or they are of other classes.
        """
        members = []
        for snapshot in find_snapshots(Path(folder)):
            member = copy.deepcopy(like)
            member.trainer = None
            checkpoint = snapshot.checkpoint()
            member.on_load_checkpoint(checkpoint)
            member.load_state_dict(checkpoint["state_dict"])
            members.append(member)
        return cls(members)

    @property
    def first(self) -> ClassificationModule:
        """The first member, whose loss and metrics count."""
        member = self.members[0]
        assert isinstance(member, ClassificationModule)
        return member

    @property
    def one_input(self) -> bool:
        """Whether all members were judged on the same inputs."""
        return len({_input_of(member) for member in self.members}) == 1

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W): the logarithm of the members' mean probabilities."""
        return self.task.mean_logits([member(images) for member in self.members])

    @override
    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch of images or of stored features."""
        return self.task.mean_logits(self._each(batch))

    @torch.inference_mode()
    def member_probabilities(self, batch: Any) -> Tensor:
        """Return the probabilities (N, M, C) of each member."""
        return torch.stack([self.task.probabilities(logits) for logits in self._each(batch)], dim=1)

    def _each(self, batch: Any) -> list[Tensor]:
        """Logits of each member, of the batch's own pictures as the member was judged with."""
        given, seen = _input_of(self.first), {}
        for member in self.members:
            wanted = _input_of(member)
            if wanted not in seen:
                seen[wanted] = batch if wanted == given else self._again(batch, wanted)
        return [member.logits_of(seen[_input_of(member)]) for member in self.members]  # type: ignore[operator]

    def _again(self, batch: Any, wanted: InputConfig) -> Any:
        data, split = self.image_data(), self.split
        if data is None or isinstance(batch, Features):
            raise UserError(
                "ckpt_path: the snapshots were judged on images of different sizes, which needs an ImageDataModule; "
                "name the stages of one size by SnapshotEnsemble.stages"
            )
        images = data.evaluation_images(split, batch[2].tolist(), wanted).to(batch[0])
        return batch._replace(images=images) if hasattr(batch, "_replace") else (images, *batch[1:])

    @override
    def inputs_of(self, pictures: Sequence[Pictures]) -> list[Tensor]:
        """Return images (N, 3, H, W) for each input that a member was judged with, once where it is that of several."""
        return [images_of(pictures, seen) for seen in self._inputs()]

    @override
    @torch.inference_mode()
    def probabilities_of(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the members' mean probabilities (N, C), float32 on the CPU, of what :meth:`inputs_of` gave."""
        images = dict(zip(self._inputs(), (one.to(self.device) for one in inputs), strict=True))
        each = [self.task.probabilities(member(images[_input_of(member)])) for member in self.members]
        return torch.stack(each).mean(dim=0).cpu()

    def _inputs(self) -> list[InputConfig]:
        """What members were judged with, each once."""
        return list(dict.fromkeys(_input_of(member) for member in self.members))

    @override
    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return self.first.compute_loss(logits, labels)

    @override
    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what a batch counts in the mean over a set."""
        return self.first.loss_weight(labels)

    @override
    def configure_metrics(self, prefix: str) -> MetricCollection:
        """Return the members' own metrics."""
        return self.first.configure_metrics(prefix)


def _input_of(member: Any) -> InputConfig:
    found: InputConfig = member.input_judged
    return found
