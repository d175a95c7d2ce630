"""What the benchmarks share: a start without chatter, pairs by turns, and means with their intervals."""

import logging
import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from lightning_recipes.engine.malloc import keep_freed_memory

QUIET: dict[str, Any] = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip
"""A trainer that does nothing but train and judge."""
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""97.5 % quantile of Student's t by the number of values, whose mean has one degree of freedom less."""


def start() -> None:
    """Leave out what Lightning says at every start, and keep freed memory as the command line does."""
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    keep_freed_memory()


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Mean of at most ten values, and half of its 95 % interval by Student's t; nan for a single one."""
    n = len(values)
    half = T_975[n] * statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
    return statistics.fmean(values), half


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def paired(rounds: int, ours: Callable[[], float], theirs: Callable[[], float]) -> dict[str, Any]:
    """Figures of both by turns after one of each that does not count, and the ratio of each pair."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    first, second = (spread(column) for column in zip(*pairs, strict=True))
    return {"ours": first, "theirs": second, "ratio": spread([a / b for a, b in pairs])}


def show_pair(name: str, found: dict[str, Any], unit: str, more: str = "") -> None:
    """Print medians, and the ratio with its lowest and highest value."""
    ratio, ours, theirs = found["ratio"], found["ours"]["median"], found["theirs"]["median"]
    digits = 0 if min(ours, theirs) >= 100 else 2
    print(
        f"{name}: {ours:.{digits}f} and {theirs:.{digits}f} {unit}, ratio {ratio['median']:.3f} "
        f"[{ratio['lowest']:.3f}..{ratio['highest']:.3f}]{more}",
        flush=True,
    )
