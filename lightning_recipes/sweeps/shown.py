"""Values of a trial for people."""

from collections.abc import Mapping
from typing import Any

__all__ = ["shown_values"]


def shown_values(values: Mapping[str, Any]) -> str:
    """Return values in a line, numbers with three digits that count, and what is taken out as off.

    Example:
        >>> shown_values({})
        'as it is'
        >>> shown_values({"model.lr": 0.012345, "trainer.callbacks[EMA]": None})
        'model.lr 0.0123, trainer.callbacks[EMA] off'
    """
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items()) or "as it is"


def _short(value: Any) -> str:
    if value is None:
        return "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
