"""What the benchmarks share: a start without chatter, and the mean of a few values with its 95 % interval."""

import logging
import math
import statistics
import warnings
from collections.abc import Sequence

from lightning_recipes.engine.malloc import keep_freed_memory

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
