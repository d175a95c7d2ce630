"""GradCAM of any timm backbone: where in an image a class was seen. Built on captum; token grids become maps first.

Source: Selvaraju et al. (2017), "Grad-CAM: Visual Explanations from Deep Networks", equations 1 and 2.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["Target", "find_target", "grad_cam"]

Layout = Literal["NCHW", "NHWC", "tokens"]
INSIDE = re.compile(r"attention|attn|mlp|ffn|glu", re.IGNORECASE)
"""Classes whose insides are no maps of the image, though their tensors may look like one."""


@dataclass(frozen=True)
class Target:
    """A layer whose output is a map of the image.

    Attributes:
        layer: Name in the backbone, such as ``layer4`` or ``blocks.11.norm1``.
        layout: How the map lies in the output.
        prefix: Tokens before the map's, such as a class token.
    """

    layer: str
    layout: Layout
    prefix: int = 0


class NoMapError(UserError):
    """A backbone, or a layer of it, gives no map of the image."""


def check_layer(backbone: nn.Module, layer: str) -> None:
    """Refuse the name of a layer that a backbone does not have.

    Raises:
        UserError: There is none; names those that are near.
    """
    known = dict(backbone.named_modules())
    if layer not in known:
        raise UserError(f"layer: the backbone has no '{layer}'{did_you_mean(layer, known)}")


def find_target(classifier: nn.Module, backbone: nn.Module, images: Tensor, layer: str | None = None) -> Target:
    """Return the last layer whose output is a map that the logits depend on all over.

    In a network that pools a map it is the last map. In a transformer that reads its class token off, the last block's
    output does not count but for that token, so it is the norm before the last attention.

    Args:
        classifier: Images (N, 3, H, W) to logits (N, C); holds the backbone.
        backbone: Of timm, or any module.
        images: One or more.
        layer: Take this one; its layout is found.

    Raises:
        UserError: There is no such layer, or its output is no map; without a name, no layer's output is one.
    """
    if layer is not None:
        check_layer(backbone, layer)
    outputs = _outputs(classifier, backbone, images[:1])
    known = {name: (target, output) for name, output in outputs if (target := _as_target(name, output, backbone))}
    if layer is not None:
        if layer not in known:
            raise NoMapError(
                f"layer: the output of '{layer}' is no map of the image; name another, or none to find one"
            )
        return known[layer][0]
    maps = [(target, output) for name, (target, output) in known.items() if not _is_inside(name, backbone)]
    for target, output in reversed(maps):
        if _depends_all_over(target, output):
            return target
    if maps and not any(output.grad is not None and output.grad.any() for _, output in maps):
        return maps[-1][0]  # a head of zeros, as before training: the logits depend on nothing, and no layer has heat
    raise NoMapError("layer: no layer of this backbone gives a map of the image; name one")


def _outputs(classifier: nn.Module, backbone: nn.Module, images: Tensor) -> list[tuple[str, Tensor]]:
    """Outputs of all layers in the order of their computation, with the gradient of the largest logit in them."""
    outputs: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.requires_grad and len(output) == len(images):
                output.retain_grad()
                outputs.append((name, output))

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in backbone.named_modules() if name]
    try:
        with torch.inference_mode(False), torch.enable_grad():  # a validation is in inference mode
            logits = classifier(images.detach().clone().requires_grad_())
            (logits.max(dim=1).values.sum() + 0.0 * logits.sum()).backward()
    finally:
        for handle in hooks:
            handle.remove()
    return outputs


def _as_target(name: str, output: Tensor, backbone: Any) -> Target | None:
    if output.ndim == 4:
        first = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        square = {"NCHW": output.shape[2] == output.shape[3] > 1, "NHWC": output.shape[1] == output.shape[2] > 1}
        for layout in ("NHWC", "NCHW") if first else ("NCHW", "NHWC"):
            if square[layout]:
                return Target(name, layout)
    if output.ndim == 3:
        for prefix in dict.fromkeys((getattr(backbone, "num_prefix_tokens", 0), 0, 1)):
            tokens = output.shape[1] - prefix
            if tokens > 1 and math.isqrt(tokens) ** 2 == tokens:
                return Target(name, "tokens", prefix)
    return None


def _is_inside(name: str, backbone: nn.Module) -> bool:
    """Tell whether a layer is a part of an attention or of a perceptron."""
    parts = name.split(".")
    above = (backbone.get_submodule(".".join(parts[:i])) for i in range(1, len(parts) + 1))
    return any(INSIDE.search(type(module).__name__) for module in above)


def _depends_all_over(target: Target, output: Tensor) -> bool:
    if output.grad is None:
        return False
    there = _to_map(output.grad, target).abs().sum(dim=1) > 0
    return float(there.float().mean()) > 0.5


def _to_map(output: Tensor, target: Target) -> Tensor:
    """Return (N, C, H, W)."""
    if target.layout == "NCHW":
        return output
    if target.layout == "NHWC":
        return output.permute(0, 3, 1, 2)
    tokens = output[:, target.prefix :]
    side = math.isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


class _Seen(nn.Module):
    """A layer whose output passes through a map that can be looked at."""

    def __init__(self, layer: nn.Module, target: Target) -> None:
        super().__init__()
        self.layer, self.target, self.map = layer, target, nn.Identity()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return what the layer returns."""
        output: Tensor = self.layer(*args, **kwargs)
        seen: Tensor = self.map(_to_map(output, self.target))
        if self.target.layout == "NCHW":
            return seen
        if self.target.layout == "NHWC":
            return seen.permute(0, 2, 3, 1)
        return torch.cat([output[:, : self.target.prefix], seen.flatten(2).transpose(1, 2)], dim=1)


@contextmanager
def _looked_at(backbone: nn.Module, target: Target) -> Iterator[nn.Module]:
    """Put a map behind a layer for the time of the block, and give it."""
    parent_name, _, name = target.layer.rpartition(".")
    parent = backbone.get_submodule(parent_name)
    layer = parent.get_submodule(name)
    seen = _Seen(layer, target).train(layer.training)
    setattr(parent, name, seen)
    try:
        yield seen.map
    finally:
        setattr(parent, name, layer)


def grad_cam(
    classifier: nn.Module, backbone: nn.Module, images: Tensor, classes: Tensor, *, target: Target | None = None
) -> Tensor:
    """Return where each image shows a class: (N, H, W), from 0 to 1 at the strongest place; all 0 where it is nowhere.

    Args:
        classifier: Images to logits, in eval mode; holds the backbone.
        backbone: As in :func:`find_target`.
        images: (N, 3, H, W), normalised.
        classes: (N,), one an image.
        target: The layer to look at (default: as :func:`find_target` finds it).
    """
    from captum.attr import LayerGradCam

    target = target or find_target(classifier, backbone, images)
    with torch.inference_mode(False), torch.enable_grad(), _looked_at(backbone, target) as layer:
        attribution = LayerGradCam(classifier, layer).attribute(
            images.detach().clone().requires_grad_(), target=classes.clone(), relu_attributions=True
        )
    heat = F.interpolate(attribution.detach().float(), size=images.shape[-2:], mode="bilinear", align_corners=False)
    heat = heat.squeeze(1)
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)
