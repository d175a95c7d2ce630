"""Backbones of timm by name, without their classifier; the classifier apart, with a first loss of ln(classes)."""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import timm
import torch
from timm.data import resolve_data_config
from timm.layers import get_act_layer
from torch import Tensor, nn

from lightning_recipes.errors import UserError, did_you_mean
from lightning_recipes.input_config import InputConfig, of_channels
from lightning_recipes.models import airbench, cifar_resnet  # noqa: F401 - which timm knows by their names then
from lightning_recipes.models.coordinates import KEY as COORDINATES
from lightning_recipes.models.coordinates import add_coordinates_, take_coordinate_weights
from lightning_recipes.models.hub import cache_alone_if_offline
from lightning_recipes.models.weights import KEY as PRETRAINED
from lightning_recipes.models.weights import Weights, describe_misfit, read_weights

__all__ = ["ACTIVATIONS", "Backbone", "InputConfig", "check_image_size", "create_backbone"]

log = logging.getLogger(__name__)

ACTIVATIONS = ("relu", "gelu", "silu", "mish")
SIZES = {"dynamic_img_size": True, "strict_img_size": False}
"""Lets transformers take other sizes than their own, position embeddings resampled; at their own nothing changes."""
HUBS = ("hf-hub:", "hf_hub:", "local-dir:")


@dataclass(frozen=True)
class Backbone:
    """A network in two parts: ``logits = head(features(images))``.

    Attributes:
        features: Images (N, 3, H, W) to features (N, F).
        head: Features (N, F) to logits (N, C).
        num_features: F.
        input: What the weights expect.
        head_is_pretrained: The head came with the weights, for the same number of classes.
        arguments: Of the architecture, the weights file's own among them.
        weights: Of a file, for whoever builds a head of another shape; None where they are timm's or there are none.
    """

    features: nn.Module
    head: nn.Module
    num_features: int
    input: InputConfig
    head_is_pretrained: bool
    arguments: dict[str, Any]
    weights: Weights | None = None


def create_backbone(
    name: str,
    *,
    num_classes: int,
    pretrained: bool | str = False,
    backbone_kwargs: Mapping[str, Any] | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    pooling: str | None = None,
    keep_classifier: bool = True,
    in_chans: int = 3,
    coordinates: bool = False,
) -> Backbone:
    """Build a timm model and take its classifier off.

    A fresh head starts at zero, as in Kolesnikov et al. (2020), "Big Transfer", section 3.3: the first loss is
    ln(classes) exactly. timm's own initialisation of a classifier for few classes is so wide that the first steps go
    into undoing it.

    Args:
        name: timm's name, with or without a tag.
        num_classes: C.
        pretrained: See :class:`lightning_recipes.modules.classifier.ImageClassifier`.
        backbone_kwargs: Arguments of the architecture; they come before what a weights file asks for.
        image_size: Passed on where the architecture is built for one size.
        activation: One of :data:`ACTIVATIONS`, in place of the architecture's own.
        pooling: As timm calls it, such as ``catavgmax``; empty for none (default: the architecture's own).
        keep_classifier: Keep a pretrained classifier for the same number of classes.
        in_chans: Channels of an image. Pretrained weights of the first layer are summed for one and repeated for more
            than three, as timm does it.
        coordinates: Let the first convolution take the pixels' coordinates too; see
            :func:`lightning_recipes.models.coordinates.add_coordinates_`.

    Raises:
        UserError: Unknown name or argument, or weights that cannot be had or do not fit.
    """
    own_source = isinstance(pretrained, str) and not pretrained.startswith(HUBS)
    weights = read_weights(str(pretrained)) if own_source else None
    _check_name(name, weights)
    of_coordinates = take_coordinate_weights(weights.tensors) if weights else {}
    if weights and of_coordinates and not coordinates:
        raise UserError(f"{PRETRAINED}: '{weights.path}' is of a network with coordinates; give --{COORDINATES} true")
    arguments = kwargs = {**(weights.backbone_kwargs if weights else {}), **(backbone_kwargs or {})}
    if image_size is not None and _is_built_for_one_size(name):
        kwargs = {**SIZES, "img_size": image_size, **kwargs}
    if activation is not None:
        if activation not in ACTIVATIONS:
            raise UserError(f"model.activation: '{activation}' is not one of {', '.join(ACTIVATIONS)}")
        kwargs = {"act_layer": get_act_layer(activation), **kwargs}
    if in_chans != 3 or (weights is not None and weights.channels != 3):
        kwargs = {**kwargs, "in_chans": in_chans}  # else timm takes them from the weights' own configuration
    if weights is not None:
        model, classes = _load(name, weights, kwargs)
    else:
        model = _build(name, pretrained, num_classes, kwargs)
        classes = _pretrained_classes(model) if pretrained else None
    if coordinates:
        add_coordinates_(model, name, of_coordinates)
    config = resolve_data_config({}, model=model)
    features, classifier, width = _split(model, name, pooling)
    kept = keep_classifier and classes == num_classes and classifier is not None
    if kept and classifier is not None:
        head, width = classifier, classifier.in_features
    else:
        head = nn.Linear(width, num_classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    if classes:
        instead = f"one of {num_classes}" if classes != num_classes else "another head"
        does = "is kept" if kept else f"is left out for {instead}"
        log.info("%s: the classifier of %s for %d classes %s", PRETRAINED, _called(pretrained, name), classes, does)
    size = config["input_size"][-1]
    inputs = InputConfig(
        size,
        of_channels(config["mean"], in_chans),
        of_channels(config["std"], in_chans),
        config["interpolation"],
        config["crop_pct"],
        "crop" if weights is None else weights.fit,
    )
    return Backbone(features, head, width, inputs, kept, arguments, weights)


def _called(pretrained: bool | str, name: str) -> str:
    return pretrained if isinstance(pretrained, str) else name


def _check_name(name: str, weights: Weights | None) -> None:
    base = name.split(".")[0]
    if not name.startswith(HUBS) and not timm.is_model(base):
        raise UserError(f"model.backbone: '{name}' is not a timm model{did_you_mean(base, timm.list_models())}")
    if weights is not None and weights.architecture and weights.architecture.split(".")[0] != base:
        raise UserError(
            f"{PRETRAINED}: '{weights.path}' is for {weights.architecture}, not {name}; "
            f"give --model.backbone {weights.architecture}"
        )


def _is_built_for_one_size(name: str) -> bool:
    config = None if name.startswith(HUBS) else timm.get_pretrained_cfg(name, allow_unregistered=True)
    return bool(config is not None and config.fixed_input_size)


def _build(name: str, pretrained: bool | str, num_classes: int, kwargs: dict[str, Any], **overlay: Any) -> nn.Module:
    """Call timm, and say in one line what it refuses."""
    source = pretrained if isinstance(pretrained, str) else name
    from_hub = bool(pretrained) and not overlay and not source.startswith("local-dir:")
    offline = ""
    try:
        with cache_alone_if_offline() if from_hub else nullcontext("") as offline:
            model: nn.Module = timm.create_model(
                source, pretrained=bool(pretrained), num_classes=num_classes, **kwargs, **overlay
            )
    except TypeError as error:
        # "an unexpected keyword argument 'x'", "unexpected keyword argument(s): ['x']", "multiple values for ... 'x'"
        found = re.search(r"keyword argument(?:\(s\): \[)? ?'(\w+)'", str(error))
        if found is None:
            raise
        if found[1] in ("img_size", *SIZES) and found[1] in kwargs:
            fewer = {key: value for key, value in kwargs.items() if key != found[1]}
            return _build(name, pretrained, num_classes, fewer, **overlay)
        key = "activation" if found[1] == "act_layer" else f"backbone_kwargs.{found[1]}"
        raise UserError(f"model.{key}: '{name}' takes no such argument") from error
    except (AssertionError, ValueError) as error:
        raise UserError(f"model.backbone: '{name}' cannot be built with {kwargs}: {error}") from error
    except Exception as error:
        if not pretrained or overlay:
            raise
        reason = f"they are not in the cache, and {offline}" if offline else " ".join(str(error).split())
        raise UserError(
            f"{PRETRAINED}: the weights of '{source}' cannot be had ({reason}); give a weights file, or false"
        ) from error
    return model


def _pretrained_classes(model: nn.Module) -> int | None:
    config: Any = getattr(model, "pretrained_cfg", {})
    classes: int | None = config.get("num_classes")
    return classes


def _load(name: str, weights: Weights, kwargs: dict[str, Any]) -> tuple[nn.Module, int | None]:
    """Build a model for the file's own classes, so that every tensor has to fit; return it and C."""
    tensors = weights.tensors
    classifier = timm.get_pretrained_cfg(name, allow_unregistered=True)
    names = (classifier.classifier if classifier is not None else None) or ()
    first = (names,) if isinstance(names, str) else tuple(names)
    classes = next((len(tensors[f"{n}.weight"]) for n in first if f"{n}.weight" in tensors), None)
    if weights.head is not None:
        classes = None  # a block of the backbone may be called as timm's classifier is
    overlay = {"state_dict": tensors, "num_classes": classes or 0, "custom_load": False, **weights.config}
    in_chans = kwargs.get("in_chans", 3)
    if weights.channels == in_chans:
        overlay["first_conv"] = None  # made for so many channels already: nothing for timm to sum or repeat
    elif weights.channels != 3:
        raise UserError(
            f"{PRETRAINED}: '{weights.path}' is of images of {weights.channels} channels, not {in_chans}; give "
            "weights of as many, or of three, which serve any number"
        )
    try:
        model = _build(name, True, classes or 0, kwargs, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError) as error:
        raise UserError(describe_misfit(weights.path, name, str(error))) from error
    cast(dict[str, Any], model.pretrained_cfg).pop(
        "state_dict", None
    )  # timm keeps the overlay, and with it a second copy of the weights
    return model, classes


def _split(model: Any, name: str, pooling: str | None) -> tuple[nn.Module, nn.Linear | None, int]:
    """Take the classifier off; return the rest, the classifier if it is one linear layer, and the features' width."""
    classifier = model.get_classifier()
    try:
        model.reset_classifier(0, *(() if pooling is None else (pooling,)))
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(
            f"model.head: '{name}' cannot pool as this head needs it ({pooling or 'not at all'})"
        ) from error
    width: int = getattr(model, "head_hidden_size", None) or model.num_features
    if pooling is not None:
        width = model.num_features * (2 if pooling == "catavgmax" else 1)
    # Not linear: two classifiers (distilled models), a convolution, or none.
    return model, classifier if isinstance(classifier, nn.Linear) else None, width


def check_image_size(
    backbone: nn.Module, size: int, in_chans: int = 3, forward: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Refuse a size of images that the backbone cannot take, by one forward pass of zeros that leaves no trace.

    Args:
        backbone: The network.
        size: Side of the images in pixels.
        in_chans: Their channels.
        forward: What is asked of it (default: its own call).

    Returns:
        What it makes of the zeros.

    Raises:
        UserError: It cannot.
    """
    modes = [(module, module.training) for module in backbone.modules()]
    device = next(backbone.parameters()).device
    try:
        with torch.inference_mode():
            backbone.eval()
            found: Tensor = (forward or backbone)(torch.zeros(1, in_chans, size, size, device=device))
            return found
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"data.image_size: the backbone cannot take images of {size} px ({reason})") from error
    finally:
        for module, mode in modes:
            module.training = mode
