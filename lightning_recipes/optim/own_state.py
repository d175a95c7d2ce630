"""What an optimizer remembers: its state, its groups' options, and attributes of its own such as counters."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer

__all__ = ["untouched_optimizer"]


@contextmanager
def untouched_optimizer(optimizer: Optimizer) -> Iterator[None]:
    """Let the optimizer work on copies inside, and give it back exactly what it had, keys that it added included.

    Groups, parameters and hooks stay the same objects, so that a scheduler, or an optimizer that wraps this one, sees
    what it saw. What cannot be copied, such as a process group, is shared.
    """
    groups = optimizer.param_groups
    parameters = [p for group in groups for p in group["params"]]
    copies = {id(thing): thing for thing in (optimizer, groups, *groups, *parameters)}  # that is, none of these
    own, options = {n: vars(optimizer)[n] for n in _own_names(optimizer)}, [_options(group) for group in groups]
    names = set(vars(optimizer))
    for group in groups:
        group.update({key: _copied(value, copies) for key, value in _options(group).items()})
    vars(optimizer).update({name: _copied(value, copies) for name, value in own.items()})
    try:
        yield
    finally:
        for name in set(vars(optimizer)) - names:
            delattr(optimizer, name)
        vars(optimizer).update(own)
        for group, before in zip(groups, options, strict=True):
            for key in group.keys() - before.keys() - {"params"}:
                del group[key]
            group.update(before)


def _own_names(optimizer: Optimizer) -> list[str]:
    """Names of the state, and of what the class adds to every optimizer's attributes; functions are left out."""
    common = vars(SGD([nn.Parameter(torch.zeros(1))], lr=0.1)).keys() - {"state"}
    return [name for name, value in vars(optimizer).items() if name not in common and not callable(value)]


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _copied(value: Any, copies: dict[int, Any]) -> Any:
    if isinstance(value, torch.Generator):
        return value.clone_state()
    try:
        return copy.deepcopy(value, copies)
    except (TypeError, RuntimeError, NotImplementedError):
        return value
