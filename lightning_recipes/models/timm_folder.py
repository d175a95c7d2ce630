"""A trained network as timm's own: a folder that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` reads."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import save_for_hf
from torch import Tensor, nn

from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.coordinates import has_coordinates

__all__ = ["as_timm", "read_timm", "write_timm"]

CROP_MODES = {"crop": "center", "squish": "squash", "pad": "border"}
"""What timm calls the ways to make a square."""


def as_timm(backbone: nn.Module, head: nn.Module, num_classes: int) -> nn.Module:
    """Return a copy of a network with its head as timm's classifier.

    Args:
        backbone: Of :func:`~lightning_recipes.models.backbone.create_backbone`, without its classifier.
        head: One linear layer.
        num_classes: C.

    Raises:
        UserError: The network or its head is none that timm has.
    """
    known = "give onnx or torch"
    if not isinstance(head, nn.Linear) or not hasattr(backbone, "reset_classifier"):
        raise UserError(f"to: timm has no network with the head {type(head).__name__}; {known}")
    if has_coordinates(backbone):
        raise UserError(f"to: timm has no network whose first layer takes coordinates; {known}")
    model: Any = copy.deepcopy(backbone)
    model.reset_classifier(num_classes)
    classifier = model.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.weight.shape != head.weight.shape:
        raise UserError(f"to: the head's {head.in_features} features are not those of timm's classifier; {known}")
    classifier.load_state_dict({name: value.detach().clone() for name, value in head.state_dict().items()})
    # A file has no tensors whose channels lie last.
    return model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[no-any-return]


def write_timm(model: nn.Module, folder: Path, given: InputConfig, classes: Sequence[str]) -> None:
    """Write ``model.safetensors`` and ``config.json``.

    Args:
        model: Of :func:`as_timm`.
        folder: Is made.
        given: How pictures became inputs where the weights were judged.
        classes: Their names.
    """
    channels, size = len(given.mean), given.image_size
    settings = {
        "input_size": (channels, size, size),
        "mean": given.mean,
        "std": given.std,
        "interpolation": given.interpolation,
        "crop_pct": given.crop_pct if given.fit == "crop" else 1.0,
        "crop_mode": CROP_MODES[given.fit],
    }
    own = dict.fromkeys(("test_input_size", "test_crop_pct", "url", "hf_hub_id"))  # of the weights it began with
    config = {"label_names": list(classes), "pretrained_cfg": {**settings, **own}}
    save_for_hf(model, str(folder), model_config=config, safe_serialization=True)


def read_timm(folder: Path) -> tuple[nn.Module, Callable[[Image.Image], Tensor]]:
    """Return the network of a folder, in eval mode, and timm's transform from a picture to its input (C, H, W)."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform: Callable[[Image.Image], Tensor] = create_transform(**resolve_data_config({}, model=model))
    return model.requires_grad_(False), transform
