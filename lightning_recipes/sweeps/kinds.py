"""Kinds of values that a search draws from, each a function from [0, 1) to a value."""

import json
import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "IntRange", "Kind", "Range"]


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds.

    Attributes:
        low: Smallest.
        high: Largest, > ``low``.
        log: Evenly in the logarithm; then ``low`` > 0.
        steps: Of a grid, both bounds among them, >= 2; None: a grid cannot take it.
    """

    low: float
    high: float
    log: bool = False
    steps: int | None = None

    def at(self, share: float) -> float:
        """Return the value below which ``share`` of the draws lie.

        Example:
            >>> round(Range(1e-4, 1e-2, log=True).at(0.5), 6)
            0.001
        """
        if share in (0.0, 1.0):  # to the last digit
            return self.high if share else self.low
        if not self.log:
            return min(self.high, self.low + share * (self.high - self.low))
        low, high = math.log(self.low), math.log(self.high)
        return min(self.high, max(self.low, math.exp(low + share * (high - low))))

    def grid(self) -> list[float] | None:
        """Return the values of a grid; None where ``steps`` says not how many."""
        return None if self.steps is None else [self.at(i / (self.steps - 1)) for i in range(self.steps)]


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest.
        high: Largest, > ``low``.
        log: A number is as likely as the logarithm is wide between it and the next; then ``low`` > 0.
    """

    low: int
    high: int
    log: bool = False

    def at(self, share: float) -> int:
        """Return the value below which ``share`` of the draws lie.

        Example:
            >>> [IntRange(1, 4).at(share) for share in (0.0, 0.25, 0.99)]
            [1, 2, 4]
        """
        if share in (0.0, 1.0):  # to the last digit
            return self.high if share else self.low
        if not self.log:
            return min(self.high, self.low + int(share * (self.high - self.low + 1)))
        low, high = math.log(self.low), math.log(self.high + 1)
        return min(self.high, max(self.low, int(math.exp(low + share * (high - low)))))

    def grid(self) -> list[int]:
        """Return the values of a grid: all of them."""
        return list(range(self.low, self.high + 1))


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely as another.

    Attributes:
        values: Of any type that YAML has.
    """

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Return the value below which ``share`` of the draws lie."""
        return self.values[min(len(self.values) - 1, int(share * len(self.values)))]

    def grid(self) -> list[Any]:
        """Return the values of a grid: all of them."""
        return list(self.values)

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as texts that are told apart: ``1`` is not ``true``, and lists can be compared."""
        return tuple(json.dumps(value, sort_keys=True) for value in self.values)


Kind = Range | IntRange | Choice
