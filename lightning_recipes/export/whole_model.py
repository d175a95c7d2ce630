"""A network with what comes before it and after it: pictures in, probabilities out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.data.transforms.image_transforms import decoded_size
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.calibration import cooled
from lightning_recipes.export.picture_input import PictureInput
from lightning_recipes.input_config import InputConfig
from lightning_recipes.modules.ensemble import EnsembleClassifier
from lightning_recipes.modules.evaluator import Evaluator
from lightning_recipes.modules.tta import VIEWS, View

__all__ = ["WholeModel"]


class WholeModel(nn.Module):
    """Gives the probabilities of pictures, as ``predict`` does, in operations that can be traced.

    Attributes:
        given: How a picture becomes the input of each network.

    Args:
        model: A classifier or an ensemble, in eval mode on the CPU.
        views: One of :data:`~lightning_recipes.modules.tta.VIEWS`, averaged with the picture itself.
        temperature: By which logits are divided in the end, > 0; 1 leaves probabilities as they are.

    Raises:
        UserError: The views are none that there are, or are drawn from a data module; several labels have no
            temperature.
    """

    given: list[InputConfig]

    def __init__(self, model: Evaluator, views: str | None = None, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature != 1 and model.task.several_labels:
            raise UserError("temperature: of several labels a picture none is known; leave it out")
        if views is not None and not VIEWS.get(views):
            known = ", ".join(name for name, found in VIEWS.items() if found)
            raise UserError(f"views: '{views}' is not one that a file can hold; there are {known}")
        self.views: Sequence[View] = VIEWS[views] if views else ()
        self.task, self.temperature = model.task, temperature
        members: list[Any] = list(model.members) if isinstance(model, EnsembleClassifier) else [model]
        self.networks = nn.ModuleList(members)
        self.given = [member.input_judged for member in members]
        self.inputs = nn.ModuleList([PictureInput(given) for given in self.given])

    @property
    def reading_size(self) -> int:
        """Shorter side, in pixels, down to which a picture may be read."""
        return max(decoded_size(given) for given in self.given)

    @override
    def forward(self, pictures: Tensor) -> Tensor:
        """Return probabilities (N, C), float32, of pictures (N, H, W, 3), uint8, RGB."""
        found = []
        for network, as_input in zip(self.networks, self.inputs, strict=True):
            images = as_input(pictures)
            seen = [images, *(view(images) for view in self.views)]
            found += [self.task.probabilities(network(one)) for one in seen]
        probabilities = torch.stack(found).mean(dim=0)
        return probabilities if self.temperature == 1 else cooled(probabilities, self.temperature).float()
