"""What is used of Optuna beside its public interface."""

from typing import Any

__all__ = ["id_of"]


def id_of(trial: Any) -> int:
    """Return what storages ask for of a trial; its public number is another."""
    return int(trial._trial_id)
