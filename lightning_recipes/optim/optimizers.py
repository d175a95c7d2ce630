"""Optimizers by name: those of torch, then those of timm, then a user's class by import path."""

import inspect
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.optim import Optimizer

from lightning_recipes.components import Spec, check_arguments, import_object, parse_spec
from lightning_recipes.errors import UserError, did_you_mean

__all__ = ["create_optimizer"]

KEY = "model.optimizer"


def _torch_optimizers() -> dict[str, type[Optimizer]]:
    """Optimizer classes of torch by lower-case name."""
    return {
        name.lower(): value
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, Optimizer) and value is not Optimizer
    }


def create_optimizer(
    spec: Spec, groups: list[dict[str, Any]], *, lr: float, weight_decay: float, fuse: bool = True
) -> Optimizer:
    """Return an optimizer over parameter groups.

    Args:
        spec: ``"adamw"``, ``{"name": "sgd", "momentum": 0.9, "nesterov": True}`` or ``{"class_path": ..., "init_args":
            ...}``. A name that torch has (in any case) means torch's class, any other is looked up in timm, whose
            optimizers with momentum have 0.9 of it unless the recipe says otherwise, as timm's own factory gives them.
        groups: Parameter groups that bring their own ``lr`` and ``weight_decay``.
        lr: Default rate; the groups' own override it.
        weight_decay: Default decay, likewise; for optimizers that take one.
        fuse: Take torch's kernel for the whole step where it has one and the recipe does not choose: AdamW for a
            ResNet-18 takes a seventh of the time so on a CPU. Not where a loss is scaled: it would undo that by itself.

    Raises:
        UserError: Unknown optimizer, an argument that it does not take, or one that cannot take a step here, such as
            those for sparse gradients or with second derivatives.
    """
    name, arguments = parse_spec(KEY, spec)
    for owned in ("lr", "weight_decay"):
        if owned in arguments:
            raise UserError(f"{KEY}.{owned}: give model.{owned}; the layer groups' own values are made from it")
    bound: dict[str, Any] = {}
    if "." in name:
        cls = import_object(KEY, name)
    elif name.lower() in _torch_optimizers():
        cls = _torch_optimizers()[name.lower()]
    else:
        cls, bound = _timm_optimizer(name)
    check_arguments(KEY, cls, arguments)
    if "weight_decay" in inspect.signature(cls).parameters:
        bound = {"weight_decay": weight_decay, **bound}
    if fuse and _can_be_fused(cls, groups, {**bound, **arguments}):
        bound = {"fused": True, **bound}
    try:
        optimizer: Optimizer = cls(groups, lr=lr, **{**bound, **arguments})
    except (TypeError, ValueError) as error:
        raise UserError(f"{KEY}: {name} refuses its arguments: {error}") from error
    try:
        _take_a_step(cls(_samples(groups), lr=lr, **{**bound, **arguments}))
    except Exception as error:
        why = (
            "it needs second derivatives, which are not computed"
            if getattr(optimizer, "is_second_order", False)
            else f"{error or type(error).__name__}".splitlines()[0]
        )
        raise UserError(f"{KEY}: {name} cannot train this model: {why}; take another") from error
    return optimizer


def _can_be_fused(cls: Any, groups: list[dict[str, Any]], arguments: dict[str, Any]) -> bool:
    """Tell whether torch has one kernel for a step of these parameters, by taking one."""
    chosen = {"fused", "foreach", "capturable", "differentiable"} & arguments.keys()
    if chosen or "fused" not in inspect.signature(cls).parameters:
        return False
    try:
        _take_a_step(cls(_samples(groups), lr=0.0, fused=True, **arguments))
    except Exception:  # of this device, of these numbers, or with these arguments
        return False
    return True


def _samples(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups with a copy of the smallest parameter of each number of dimensions, in place of all."""
    sampled = []
    for group in groups:
        smallest: dict[int, Tensor] = {}
        for parameter in sorted(group["params"], key=Tensor.numel):
            smallest.setdefault(parameter.ndim, parameter)
        copies = [parameter.detach().clone().requires_grad_() for parameter in smallest.values()]
        sampled.append({**group, "params": copies})
    return sampled


def _take_a_step(optimizer: Optimizer) -> None:
    """Take a step as a trainer does: dense gradients of first order, computed in a closure."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack([parameter.square().sum() for parameter in parameters]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with isolate_rng(), torch.enable_grad():
        optimizer.step(closure)  # type: ignore[arg-type]


def _timm_optimizer(name: str) -> tuple[Any, dict[str, Any]]:
    """Return timm's class of that name and the arguments that the name stands for."""
    # timm's optimizer room is fast to import once timm is there, and most recipes do not need it.
    from timm.optim import get_optimizer_class, get_optimizer_info, list_optimizers

    if name.lower() not in list_optimizers():
        letters = len(name)  # a slip of one letter keeps their number
        known = [*sorted(_torch_optimizers(), key=lambda one: abs(len(one) - letters)), *list_optimizers()]
        raise UserError(f"{KEY}: neither torch nor timm has '{name}'{did_you_mean(name.lower(), known)}")
    try:
        cls = get_optimizer_class(name.lower(), bind_defaults=False)
    except (AssertionError, ImportError) as error:  # another library's, or for CUDA alone
        raise UserError(f"{KEY}: {name} cannot be had here: {error}") from error
    momentum = {"momentum": 0.9} if "momentum" in inspect.signature(cls).parameters else {}
    return cls, {**momentum, **(get_optimizer_info(name.lower()).defaults or {})}
