"""The outputs of a network's layers, looked at while a step goes through them."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lightning_recipes.engine.trial_steps import once_more, rehearse_loss
from lightning_recipes.evaluation.symptoms.layers import LayerOutput
from lightning_recipes.modules.keyed_steps import KeyedSteps

__all__ = ["LayerOutputs", "first_not_finite", "layers_not_finite"]

RECTIFIERS = (nn.ReLU, nn.ReLU6)
IMAGES = 8
"""Of a batch of fewer, a channel that says nothing means nothing."""


class LayerOutputs:
    """Looks at the output of every layer without parts that is behind something that trains, until it is read.

    Nothing of the step changes. Rectifiers that are called as functions are not seen.

    Args:
        module: Whose layers are looked at.
    """

    def __init__(self, module: nn.Module) -> None:
        self._found: dict[str, tuple[Tensor, Tensor | None]] = {}
        self._hooks = _hook_layers(module, self._look)

    def _look(self, name: str) -> Any:
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or not output.requires_grad or output.ndim < 2:
                return
            values = output.detach()
            silent = _silent(values) if isinstance(layer, RECTIFIERS) and len(values) >= IMAGES else None
            self._found[name] = (values.abs().amax().float(), silent)

        return hook

    def read(self) -> list[LayerOutput]:
        """Stop looking, and return what was seen, in the order in which the layers were called."""
        for hook in self._hooks:
            hook.remove()
        rows = [(large, large.new_tensor(-1.0) if silent is None else silent) for large, silent in self._found.values()]
        values = torch.stack([torch.stack(row) for row in rows]).tolist() if rows else []  # one wait for a device
        found = zip(self._found, values, strict=True)
        return [LayerOutput(name, large, None if silent < 0 else silent) for name, (large, silent) in found]


def _silent(values: Tensor) -> Tensor:
    """Share of the channels that are 0 in all images: the second dimension of (N, C, H, W), else the last one."""
    channel = 1 if values.ndim == 4 else values.ndim - 1
    others = [dim for dim in range(values.ndim) if dim != channel]
    return (values.abs().amax(dim=others) == 0).float().mean()


def first_not_finite(trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> str | None:
    """Return the first layer that makes of finite numbers some that are not, in a step that is taken once more.

    Args:
        trainer: Of the fit.
        module: Whose step it was; of one whose steps are not keyed nothing is said, nor on several processes, of
            which the others would be waited for.
        batch: Of the step.
        batch_idx: Its number in the epoch.

    Returns:
        Its name; None where there is none, as where the weights are not finite already.
    """
    if not isinstance(module, KeyedSteps) or trainer.world_size > 1:
        return None
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            if found or not name or not isinstance(output, Tensor):
                return
            if not _finite(output) and all(map(_finite, given)):
                found.append(name)

        return hook

    hooks = _hook_layers(module, look)
    try:
        with once_more(module):
            rehearse_loss(trainer, [batch], key=("step", trainer.current_epoch, batch_idx))
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _hook_layers(module: nn.Module, look: Callable[[str], Any]) -> list[RemovableHandle]:
    """Give each layer without parts the hook that is made for its name."""
    layers = [(name, layer) for name, layer in module.named_modules() if not any(layer.children())]
    return [layer.register_forward_hook(look(name)) for name, layer in layers]


def _finite(value: Any) -> bool:
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(value.isfinite().all())


def layers_not_finite(module: nn.Module) -> list[str]:
    """Return the names of the weights and statistics that are not all finite."""
    return [name for name, tensor in module.state_dict().items() if not _finite(tensor)]
