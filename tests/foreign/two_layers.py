"""A classifier of somebody's own that is no timm backbone: two layers on the pixels."""

from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes import ClassificationModule, LayerGroup, groups_of

__all__ = ["TwoLayers"]


class TwoLayers(ClassificationModule):
    """Pixels of pictures (N, 3, 32, 32), a hidden layer, classes."""

    def __init__(self, num_classes: int, class_names: list[str] | None = None, width: int = 32, **rest: Any) -> None:
        super().__init__(num_classes, class_names=class_names, **rest)
        self.save_hyperparameters()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, width), nn.BatchNorm1d(width), nn.ReLU())
        self.last = nn.Linear(width, num_classes)
        self.loss = nn.CrossEntropyLoss()

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.hidden(images))
        return logits

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        return groups_of(hidden=self.hidden, last=self.last)
