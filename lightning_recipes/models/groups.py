"""Layer groups: consecutive blocks of a backbone, stem first, head last, for every timm architecture.

The blocks are those of timm's ``group_matcher``, which also orders them from input to output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lightning_recipes.compat.timm import group_with_matcher
from lightning_recipes.errors import UserError

__all__ = ["LayerGroup", "freeze_to", "groups_of", "layer_groups", "set_modes"]

ROOT = "backbone"


@dataclass(frozen=True)
class LayerGroup:
    """Layers that are frozen and trained together, at one rate.

    Attributes:
        name: Short and unique: ``stem``, ``layer1``, ``blocks.3``, ``head``.
        parameters: Names and parameters; names as in the classifier, such as ``backbone.conv1.weight``.
        modules: Modules whose last layer lies in this group, so that a module is frozen when all of it is.
    """

    name: str
    parameters: tuple[tuple[str, nn.Parameter], ...]
    modules: tuple[nn.Module, ...]

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters and statistics of the group."""
        buffers = [buffer for module in self.modules for buffer in module.buffers(recurse=False)]
        return [*(parameter for _, parameter in self.parameters), *buffers]


def groups_of(**parts: nn.Module) -> list[LayerGroup]:
    """Return parts of a module as its layer groups, the first one nearest to the input.

    Args:
        parts: By the name of the attribute that holds each: ``groups_of(encoder=self.encoder, head=self.head)``.
    """
    return [
        LayerGroup(name, tuple((f"{name}.{n}", p) for n, p in part.named_parameters()), tuple(part.modules()))
        for name, part in parts.items()
    ]


def layer_groups(backbone: nn.Module, head: nn.Module) -> list[LayerGroup]:
    """Return the layer groups of a backbone, and the head as the last one.

    Every parameter is in exactly one group; a shared one counts where it comes first.

    Args:
        backbone: Of timm, or any module: then its children with parameters are the groups.
        head: The classifier on top.

    Raises:
        UserError: A parameter is in no group.
    """
    parameters = dict(backbone.named_parameters())
    position = _positions(backbone, list(parameters))
    lost = [name for name in parameters if name not in position]
    if lost:
        raise UserError(f"layer groups: {len(lost)} parameters are in no group, such as '{lost[0]}'")
    groups = []
    for number, name in enumerate(_names(position)):
        members = tuple((f"{ROOT}.{p}", parameters[p]) for p in parameters if position[p] == number)
        groups.append((name, members))
    modules: list[list[nn.Module]] = [[] for _ in groups]
    last = _last_groups(position)
    for path, module in backbone.named_modules():
        modules[min(last.get(path, 0), len(groups) - 1)].append(module)
    heads = tuple((f"head.{name}", parameter) for name, parameter in head.named_parameters())
    return [
        *(LayerGroup(name, members, tuple(m)) for (name, members), m in zip(groups, modules, strict=True)),
        LayerGroup("head", heads, tuple(head.modules())),
    ]


def _positions(backbone: Any, parameters: Sequence[str]) -> dict[str, int]:
    """Return the group, counted from the stem, of each parameter and of each module that holds no other."""
    leaves = [f"{path}." for path, m in backbone.named_modules() if path and not any(m.children())]
    names = [*parameters, *leaves]
    if hasattr(backbone, "group_matcher"):
        found = group_with_matcher([(name, name) for name in names], backbone.group_matcher(coarse=True))
        ordered = [found[number] for number in sorted(found)]
    else:
        children = [name for name, _ in backbone.named_children()]
        direct = [[name] for name in names if "." not in name]
        ordered = [*direct, *([n for n in names if n.startswith(f"{child}.")] for child in children)]
    known, position, number = set(parameters), {}, -1
    for group in ordered:
        # Activations, pooling and the like that no rule of timm's names do not make a group: they join the one before.
        number += bool(known & set(group)) or number < 0
        position.update(dict.fromkeys(group, number))
    return position


def _last_groups(position: dict[str, int]) -> dict[str, int]:
    """Return the last group that each module reaches into, by the module's path; the root's is empty."""
    last: dict[str, int] = {}
    for name, number in position.items():
        parts = name.split(".")[:-1]
        for path in (".".join(parts[:depth]) for depth in range(len(parts) + 1)):
            last[path] = max(last.get(path, 0), number)
    return last


def _names(position: dict[str, int]) -> list[str]:
    """Name each group after what its parameters' names have in common."""
    count = max((number for name, number in position.items() if not name.endswith(".")), default=-1) + 1
    names: list[str] = []
    for number in range(count):
        paths = [name.split(".")[:-1] for name, at in position.items() if at == number and not name.endswith(".")]
        common = []
        for parts in zip(*paths, strict=False):
            if len(set(parts)) > 1:
                break
            common.append(parts[0])
        name = ".".join(common) or ("stem" if number == 0 else "neck" if number == count - 1 else f"group{number}")
        names.append(name if name not in names and name != "head" else f"{name}_{number}")
    return names


def freeze_to(groups: Sequence[LayerGroup], trainable: int) -> None:
    """Let the last ``trainable`` groups require gradients, and no other.

    A parameter whose gradient is no longer needed loses it, so that no optimizer step moves it.
    """
    for number, group in enumerate(groups):
        trains = number >= len(groups) - trainable
        for _, parameter in group.parameters:
            parameter.requires_grad_(trains)
            if not trains:
                parameter.grad = None


def set_modes(groups: Sequence[LayerGroup], trainable: int, *, fixed_norm: bool) -> None:
    """Put frozen groups into eval mode: norm statistics stay, dropout and stochastic depth are off.

    Args:
        groups: All groups, whose modules are in train mode.
        trainable: How many of the last ones train.
        fixed_norm: Keep the norm statistics of the backbone's trained groups too.
    """
    for number, group in enumerate(groups):
        frozen = number < len(groups) - trainable
        for module in group.modules:
            if frozen or (fixed_norm and number < len(groups) - 1 and _has_statistics(module)):
                module.training = False  # its children are in a group themselves


def _has_statistics(module: nn.Module) -> bool:
    """Tell whether a module is a norm layer that keeps running statistics."""
    return getattr(module, "running_mean", None) is not None
