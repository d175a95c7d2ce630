"""Shares as percent, in one form wherever they are read."""

import math

__all__ = ["percent", "percent_range"]


def percent(share: float | None) -> str:
    """Return a share as percent, and a dash for none.

    Example:
        >>> percent(0.9187), percent(-0.004), percent(None)
        ('91.9 %', '-0.4 %', '-')
    """
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def percent_range(low: float, high: float) -> str:
    """Return an interval of shares as percent.

    Example:
        >>> percent_range(0.743, 0.896)
        '74.3 to 89.6 %'
    """
    return f"{100 * low:.1f} to {100 * high:.1f} %"
