"""Gradients between the backward pass and the optimizer step: their norm, and three ways to clip them.

Functions that end in an underscore change gradients in place; parameters without a gradient stay without.
"""

from collections.abc import Iterable, Sequence

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from lightning_recipes.compat.lightning import gradient_scaler
from lightning_recipes.compat.torch import unscales_by_itself
from lightning_recipes.errors import UserError
from lightning_recipes.optim.parameter_groups import named_groups

__all__ = [
    "clip_by_norm_",
    "clip_by_unit_",
    "clip_by_value_",
    "gradients_of",
    "hides_gradients",
    "norms_by_group",
    "require_unscaled_gradients",
]


def gradients_of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Return the gradients that there are."""
    return [p.grad for p in parameters if p.grad is not None]


@torch.no_grad()
def norms_by_group(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the 2-norm of each layer group's gradient; what is frozen has none."""
    gradients: dict[str, list[Tensor]] = {}
    for group, name in named_groups(optimizer):
        found = gradients_of(group["params"])
        if found:
            gradients.setdefault(name, []).extend(found)
    return {name: _total_norm(members) for name, members in gradients.items()}


def clip_by_norm_(parameters: Sequence[nn.Parameter], *, max_norm: float) -> tuple[Tensor, Tensor]:
    """Scale all gradients by ``min(1, max_norm / ||g||)``, their norm taken together.

    Source: Pascanu et al. (2013), "On the difficulty of training recurrent neural networks", algorithm 1.

    Args:
        parameters: Whose gradients; at least one has one.
        max_norm: Largest 2-norm that is left as it is, > 0.

    Returns:
        The norm before, and whether it was clipped; scalars on the gradients' device.
    """
    norm = _total_norm(gradients_of(parameters))
    clipped = norm > max_norm
    if _may_skip(norm) and not clipped:
        return norm, clipped
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm, clipped


def clip_by_value_(parameters: Sequence[nn.Parameter], *, max_value: float) -> tuple[Tensor, Tensor]:
    """Bring every entry of every gradient into [-max_value, max_value].

    Source: Mikolov (2012), "Statistical Language Models Based on Neural Networks", section 3.2.2.

    Returns:
        The 2-norm before, and whether any entry was clipped; scalars on the gradients' device.
    """
    gradients = gradients_of(parameters)
    norm = _total_norm(gradients)
    # Not torch's norm of order infinity: on a CPU it takes ten times as long.
    extremes = torch.stack([torch.stack(gradient.aminmax()) for gradient in gradients])
    clipped = (extremes.abs() > max_value).any()
    if _may_skip(norm) and not clipped:
        return norm, clipped
    clip_grad_value_(parameters, max_value)
    return norm, clipped


@torch.no_grad()
def clip_by_unit_(parameters: Sequence[nn.Parameter], *, factor: float, eps: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Adaptive gradient clipping: each unit's gradient is at most ``factor`` times as long as the unit's weights.

    ``g_i <- g_i min(1, factor * max(||w_i||, eps) / ||g_i||)``, i being an output unit (a row of a matrix, a filter of
    a convolution); vectors and scalars are one unit.

    Source: Brock et al. (2021), "High-Performance Large-Scale Image Recognition Without Normalization", equation 3.

    Args:
        parameters: Whose gradients; at least one has one.
        factor: The paper's lambda, > 0: 0.01 to 0.16 by batch size, the larger the batch the smaller.
        eps: Least length of a unit's weights, so that zero ones can move.

    Returns:
        The 2-norm before over all units, and whether any unit was clipped; scalars on the gradients' device.
    """
    squares, clipped = [], []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        length = _unit_norm(parameter.grad)
        scale = factor * _unit_norm(parameter).clamp_min_(eps) / length.clamp_min(1e-6)
        squares.append(length.square().sum())
        clipped.append((scale < 1).any())
        if not _may_skip(scale) or clipped[-1]:
            parameter.grad.mul_(scale.clamp_max_(1.0))
    return torch.stack(squares).sum().sqrt(), torch.stack(clipped).any()


def _unit_norm(tensor: Tensor) -> Tensor:
    """Norm of each unit, of a shape that multiplies with the tensor."""
    axes = tuple(range(1, tensor.ndim)) or None
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=axes, keepdim=tensor.ndim > 1)
    return norm


def _total_norm(gradients: list[Tensor]) -> Tensor:
    """2-norm over all gradients; on a CPU from the norms of units, as a sum over rows takes two thirds of the time."""
    if not _may_skip(gradients[0]):
        return get_total_norm(gradients)
    norm: Tensor = torch.linalg.vector_norm(torch.cat([_unit_norm(gradient).flatten() for gradient in gradients]))
    return norm


def _may_skip(tensor: Tensor) -> bool:
    """Whether to look before multiplying: on an accelerator looking would wait for it, and a factor of 1 costs less."""
    return tensor.device.type == "cpu"


def hides_gradients(trainer: pl.Trainer) -> str | None:
    """Return an optimizer's name that unscales FP16 gradients inside its own step, where nobody sees the true ones."""
    scaled = gradient_scaler(trainer) is not None
    hiding = (optimizer for optimizer in trainer.optimizers if scaled and unscales_by_itself(optimizer))
    return next((type(optimizer).__name__ for optimizer in hiding), None)


def require_unscaled_gradients(trainer: pl.Trainer, who: str) -> None:
    """Refuse optimizers that hide the true gradients (:func:`hides_gradients`).

    Args:
        trainer: Of the run, with its optimizers.
        who: Needs the true gradients, for the error.

    Raises:
        UserError: Names the optimizer and what to set.
    """
    name = hides_gradients(trainer)
    if name is not None:
        raise UserError(
            f"{who}: {name}(fused=True) hides the true gradients under FP16; "
            "set model.optimizer.fused: false or trainer.precision: bf16-mixed"
        )
