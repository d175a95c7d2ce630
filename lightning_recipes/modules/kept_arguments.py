"""Arguments of a module as a checkpoint keeps them: values that are read back without running code."""

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["cannot_be_kept", "plain"]


def plain(value: Any) -> Any:
    """Return a value without what NumPy and paths put around it, which a safe reader refuses.

    Example:
        >>> plain({"lr": np.float64(0.5), "sizes": [np.int64(3)]})
        {'lr': 0.5, 'sizes': [3]}
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    return type(value)(plain(inner) for inner in value) if type(value) in (list, tuple) else value


def cannot_be_kept(arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of plain arguments that ``torch.load(weights_only=True)`` does not give back."""
    return [name for name, value in arguments.items() if not _comes_back(value)]


def _comes_back(value: Any) -> bool:
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # pickle fails in every way there is
        return False
    return True
