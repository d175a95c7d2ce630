"""One optimizer group per layer group and decay kind: discriminative learning rates, no decay of biases and norms."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lightning_recipes.errors import UserError

__all__ = ["keep_own_options", "layer_learning_rate", "named_groups", "parameter_groups"]

NO_DECAY = "/no_decay"  # after the name of a layer group
MADE_WITH = "made_with"  # a group's options as the recipe gave them; a checkpoint holds it


def layer_learning_rate(lr: float, lr_decay: float, depth: int) -> float:
    """Return the base rate of a layer group, ``lr * lr_decay ** depth``.

    Source: Howard and Ruder (2018), "ULMFiT", section 3.2 (discriminative fine-tuning).

    Args:
        lr: Rate of the head.
        lr_decay: Factor between neighbouring groups, in (0, 1].
        depth: Groups between this one and the head; 0 is the head itself.

    Example:
        >>> [layer_learning_rate(0.1, 0.5, depth) for depth in range(3)]
        [0.1, 0.05, 0.025]
    """
    return lr * lr_decay**depth


def parameter_groups(
    layers: Sequence[tuple[str, Sequence[tuple[str, nn.Parameter]]]], *, lr: float, lr_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return groups for an optimizer, stem first, head last.

    Each holds ``name`` (the layer group's, with ``/no_decay`` for biases and norm weights), ``depth`` (0 is the head),
    ``lr`` and ``weight_decay``. Frozen parameters are in it too: without a gradient an optimizer leaves them alone.

    Args:
        layers: Name and named parameters of each layer group, head last.
        lr: Rate of the head.
        lr_decay: Factor between neighbouring layer groups.
        weight_decay: For parameters of two and more dimensions; vectors and scalars (biases, norm weights) get none.

    Raises:
        UserError: A parameter is in two groups.
    """
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for position, (layer, parameters) in enumerate(layers):
        depth = len(layers) - 1 - position
        for name, parameter in parameters:
            if id(parameter) in seen:
                raise UserError(f"layer groups: parameter '{name}' of '{layer}' is in another group too")
            seen.add(id(parameter))
        for suffix, decay, members in (
            ("", weight_decay, [p for _, p in parameters if p.ndim > 1]),
            (NO_DECAY, 0.0, [p for _, p in parameters if p.ndim <= 1]),
        ):
            if members:
                rate = layer_learning_rate(lr, lr_decay, depth)
                groups.append(
                    {"params": members, "name": layer + suffix, "depth": depth, "lr": rate, "weight_decay": decay}
                )
    return groups


def named_groups(optimizer: Optimizer) -> list[tuple[dict[str, Any], str]]:
    """Return each parameter group of an optimizer with the name of its layer group, or its number without one."""
    groups = enumerate(optimizer.param_groups)
    return [(group, group.get("name", str(number)).removesuffix(NO_DECAY)) for number, group in groups]


def keep_own_options(optimizer: Optimizer) -> None:
    """Let an option that was changed since a checkpoint was written take effect when its state is loaded.

    A loaded state brings its groups' options with it, the weight decay and betas of the recipe that it was made with.
    Only those that the optimizer is now made with another value of are written over: whatever a schedule, a callback or
    the optimizer itself (a counter of steps) wrote stays as it was saved. Rates belong to the scheduler and its state.

    Args:
        optimizer: As it was just made; to be called before anything writes into its groups.
    """
    # A run that was begun without the fused kernel has no state for it.
    names = [name for name in optimizer.defaults if name not in ("lr", "fused")]
    for group in optimizer.param_groups:
        group[MADE_WITH] = {name: group[name] for name in names if name in group}
    made = [dict(group[MADE_WITH]) for group in optimizer.param_groups]

    def write_changed(loaded_into: Optimizer) -> None:
        for group, own in zip(loaded_into.param_groups, made, strict=True):
            before = group.get(MADE_WITH)
            group[MADE_WITH] = dict(own)
            if before is None:  # an older version's, without the note: what was loaded is what it was made with
                before = {name: group[name] for name in own if name in group}
            for name, value in own.items():
                if name in before and _plain(before[name]) != _plain(value):
                    _write_option(group, name, value)

    optimizer.register_load_state_dict_post_hook(write_changed)


def _write_option(group: dict[str, Any], name: str, value: Any) -> None:
    """Write an option into a group; a momentum that a schedule has moved stays moved, from another own value."""
    if name == "betas" and "initial_momentum" in group:
        moved = group["betas"][0] != group["initial_momentum"]
        group["betas"] = (group["betas"][0] if moved else value[0], *value[1:])
        group["initial_momentum"] = value[0]
    elif name == "momentum" and "initial_momentum" in group and value:
        moved = group[name] != group["initial_momentum"]
        group[name] = group[name] if moved else value
        group["initial_momentum"] = value
    else:
        group[name] = value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
