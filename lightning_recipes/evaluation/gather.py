"""Bring together what several processes have computed about their images."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["gather_by_index"]


def gather_by_index(parts: Sequence[dict[str, Tensor]], world_size: int) -> dict[str, Tensor] | None:
    """Return the tensors of all processes, rows in the order of ``index``; None where there are none.

    Args:
        parts: Of this process, one a batch: tensors with a row an image; ``index`` (N,) says which.
        world_size: Number of processes; each has to call.
    """
    mine = {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else None
    everyone = [mine]
    if world_size > 1:
        everyone = [None] * world_size
        torch.distributed.all_gather_object(everyone, mine)
    there = [part for part in everyone if part is not None]
    if not there:
        return None
    whole = {name: torch.cat([part[name] for part in there]) for name in there[0]}
    order = whole["index"].argsort(stable=True)
    return {name: tensor[order] for name, tensor in whole.items()}
