"""What a check has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Status", "failed", "passed", "verdict", "warned"]

Status = Literal["passed", "failed", "warned"]


@dataclass(frozen=True)
class Check:
    """What a check has found.

    Attributes:
        name: Of the check.
        status: ``failed`` where training on makes no sense, ``warned`` where it may.
        measured: In words and numbers.
        expected: Likewise.
        advice: What to do; empty where it passed.
    """

    name: str
    status: Status
    measured: str
    expected: str
    advice: str = ""


def passed(name: str, measured: str, expected: str) -> Check:
    """Return a check that found what was expected."""
    return Check(name, "passed", measured, expected)


def failed(name: str, measured: str, expected: str, advice: str) -> Check:
    """Return a check that found a fault."""
    return Check(name, "failed", measured, expected, advice)


def warned(name: str, measured: str, expected: str, advice: str) -> Check:
    """Return a check that found what may be a fault."""
    return Check(name, "warned", measured, expected, advice)


def verdict(name: str, problems: Sequence[tuple[str, str]], *, measured: str, expected: str) -> Check:
    """Return a check that failed by the first of several problems, or passed without any.

    Args:
        name: Of the check.
        problems: What was measured, and what to do.
        measured: Where there is no problem.
        expected: In any case.
    """
    return failed(name, problems[0][0], expected, problems[0][1]) if problems else passed(name, measured, expected)
