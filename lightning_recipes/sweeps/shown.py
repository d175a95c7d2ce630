"""Values of a trial for people."""

from collections.abc import Mapping
from typing import Any

__all__ = ["short_key", "shown_values"]


def shown_values(values: Mapping[str, Any]) -> str:
    """Return values in a line, numbers with three digits that count, and what is taken out as off.

    Example:
        >>> shown_values({})
        'as it is'
        >>> shown_values({"model.lr": 0.012345, "trainer.callbacks[EMA]": None})
        'model.lr 0.0123, trainer.callbacks[EMA] off'
    """
    return ", ".join(f"{short_key(key)} {_short(value)}" for key, value in values.items()) or "as it is"


def short_key(key: str) -> str:
    """Return a key without what is the same of every stage.

    Example:
        >>> short_key("trainer.callbacks[Stages].stages[all].lr")
        'stages[all].lr'
    """
    return key.removeprefix("trainer.callbacks[Stages].")


def _short(value: Any) -> str:
    if value is None:
        return "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
