"""What was measured on many sets, and what is read off it: how much of the frozen features' error training leaves.

Measured by ``benchmarks/transfer.py``, whose table lies beside it; a test holds the numbers here to the table.
"""

import math
from collections.abc import Mapping

__all__ = ["ERROR_LEFT", "error_left"]

ERROR_LEFT: Mapping[int, tuple[float, float, float]] = {
    0: (1.0, 1.0, 1.0),
    30: (0.98, 0.94, 1.0),
    100: (0.87, 0.81, 0.92),
    300: (0.68, 0.605, 0.78),
    1000: (0.64, 0.57, 0.735),
}
"""By steps of all layers at batch size 32: median over sets of the share of the trained head's validation error that is
left, and the quartiles below and above. A rate of 1e-4 for 30 steps, 3e-4 for 100 and 1e-3 from 300 on."""


def error_left(steps: float) -> tuple[float, float, float]:
    """Return which share of the head's error is left after steps of all layers: median, lower and upper quartile.

    Between what was measured, along the logarithm of the steps; beyond it, as at the end of it.

    Args:
        steps: At batch size 32, >= 0.

    Example:
        >>> error_left(0)
        (1.0, 1.0, 1.0)
    """
    known = sorted(ERROR_LEFT)
    if steps >= known[-1]:
        return ERROR_LEFT[known[-1]]
    above = next(place for place, one in enumerate(known) if one > steps)
    low, high = known[above - 1], known[above]
    share = math.log((steps + 1) / (low + 1)) / math.log((high + 1) / (low + 1))
    a, b = ERROR_LEFT[low], ERROR_LEFT[high]
    return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
