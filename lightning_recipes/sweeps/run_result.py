"""What a run reached, read off its folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_recipes.evaluation.bootstrap import logit_interval
from lightning_recipes.run.reader import RunContents

__all__ = ["RunResult", "epochs_of", "interval_of_mean", "is_finished", "result_of", "why_it_failed"]

SIGNALS = {137: "killed (SIGKILL: out of memory, or by hand)", 139: "crashed (SIGSEGV)", 134: "crashed (SIGABRT)"}


@dataclass(frozen=True)
class RunResult:
    """What a run reached.

    Attributes:
        metric: Its best score.
        ci95: 95 % interval of it, where the run has one.
        seconds: Of training.
        weights_sha256: Of the final weights.
    """

    metric: float
    ci95: list[float] | None
    seconds: float
    weights_sha256: str


def is_finished(folder: Path) -> bool:
    """Tell whether a run has come to its end."""
    return bool(RunContents(folder).summary.get("finished"))


def result_of(folder: Path, metric: str) -> RunResult | str:
    """Return what a run that has ended reached, or the reason why it counts as failed.

    Args:
        folder: Of the run.
        metric: That all runs of the sweep are judged by.
    """
    summary = RunContents(folder).summary
    if not summary:
        return "the run wrote no summary.json"
    if summary.get("monitor") not in (None, metric):
        return f"the run was judged by {summary['monitor']}, and the sweep is by {metric}; give best_checkpoint.monitor"
    score = summary.get("best_score")
    if score is None or not math.isfinite(score):
        return _diverged(summary) or f"{metric} is {score}"
    return RunResult(float(score), summary.get(f"{metric}_ci95"), summary["seconds"], summary["weights_sha256"])


def why_it_failed(folder: Path, log: Path, code: int) -> str:
    """Return in a line why a run ended with an exit code other than 0.

    Args:
        folder: Of the run.
        log: File with what it said, its errors last.
        code: Its exit code.
    """
    if code in SIGNALS:
        return SIGNALS[code]
    said = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    last = next((line.strip() for line in reversed(said) if line.strip()), "")
    return _diverged(RunContents(folder).summary) or last.removeprefix("lightning-recipes: ") or f"exit code {code}"


def _diverged(summary: dict[str, Any]) -> str:
    epoch = summary.get("diverged_at_epoch")
    return "" if epoch is None else f"diverged at epoch {epoch}"


def epochs_of(folder: Path, metric: str) -> dict[int, float]:
    """Return the metric of each epoch that a run has validated so far, the last of an epoch."""
    found: dict[int, float] = {}
    for row in RunContents(folder).metrics:
        try:
            found[int(row["epoch"])] = float(row[metric])
        except (KeyError, TypeError, ValueError):  # a row of training, or one that is being written
            continue
    return found


def interval_of_mean(values: Sequence[float], *, share: bool = False) -> list[float] | None:
    """Return the 95 % interval of a mean by Student's t; None of fewer than two values.

    Args:
        values: Of the runs.
        share: They are in [0, 1], and so is the interval, by its half width on the scale of logits.

    Source: Student (1908), "The Probable Error of a Mean".

    Example:
        >>> [round(bound, 4) for bound in interval_of_mean([0.90, 0.92])]
        [0.7829, 1.0371]
        >>> [round(bound, 4) for bound in interval_of_mean([0.90, 0.92], share=True)]
        [0.6818, 0.9795]
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    if share:
        within = logit_interval(mean, half)
        return None if within is None else list(within)
    return [mean - half, mean + half]
