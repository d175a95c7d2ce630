"""How far something that takes long has come."""

from collections.abc import Callable

__all__ = ["Progress", "tell_nobody"]

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""


def tell_nobody(does: str, done: int, of: int) -> None:
    """Leave it at that."""
