"""The loader of a stage: one throughout it, whose workers end with it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader

from lightning_recipes.compat.torch import end_workers

__all__ = ["StageLoader"]

Loader = TypeVar("Loader", bound=DataLoader[Any])


class StageLoader(Generic[Loader]):
    """Keeps a loader, and so its workers, for as long as a stage lasts."""

    def __init__(self) -> None:
        self._made: tuple[int, Loader] | None = None

    def of(self, position: int, make: Callable[[], Loader]) -> Loader:
        """Return the loader of the stage at a position in the plan, made where there is none or another stage's."""
        if self._made is None or self._made[0] != position:
            self.forget()
            self._made = (position, make())
        return self._made[1]

    def forget(self) -> None:
        """End the processes that wait for another epoch, and make another loader where it is asked for next."""
        if self._made is not None:
            end_workers(self._made[1])
            self._made = None
