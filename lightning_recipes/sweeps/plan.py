"""What a sweep does, as every one of its workers is told it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_recipes.sweeps.space import Space

__all__ = ["RunPlan", "SweepPlan", "run_folder", "runs_of", "trial_folder"]


@dataclass(frozen=True)
class RunPlan:
    """One of the runs of a trial.

    Attributes:
        folder: In the trial's; empty: the trial's own.
        words: Options of ``fit`` beside the trial's recipe.
    """

    folder: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepPlan:
    """A sweep.

    Attributes:
        recipe: The whole recipe, with every key.
        space: What is searched in it.
        out: Folder of the sweep.
        trials: How many there are to be.
        sampler: One of :data:`lightning_recipes.sweeps.values.SAMPLERS`.
        seed: Of the search.
        runs: Of each trial.
        metric: That the runs are judged by.
        mode: Where better values of it are.
        prune: Whether trials that promise little are stopped by halving.
        min_epochs: Before the first decision of halving.
        reduction: One of so many goes on at each decision; the epochs to the next are as many times those before.
        minutes: After which no trial begins; None: no limit.
    """

    recipe: Mapping[str, Any]
    space: Space
    out: Path
    trials: int
    sampler: str
    seed: int
    runs: tuple[RunPlan, ...]
    metric: str
    mode: Literal["max", "min"]
    prune: bool
    min_epochs: int
    reduction: int
    minutes: float | None


def runs_of(seed: int, seeds: int, folds: int | None) -> tuple[RunPlan, ...]:
    """Return the runs of a trial: one for each seed and fold.

    Args:
        seed: The recipe's; the others count on from it.
        seeds: How many, >= 1.
        folds: Parts of the data that are validated in turn; None: the recipe's validation images alone.

    Example:
        >>> [run.folder for run in runs_of(3, 2, None)]
        ['seed_3', 'seed_4']
    """
    each = range(seed, seed + seeds)
    by_seed = [(f"seed_{one}", ("--seed_everything", str(one))) for one in each] if seeds > 1 else [("", ())]
    if folds is None:
        return tuple(RunPlan(name, words) for name, words in by_seed)
    by_fold = [(f"fold_{fold}", ("--data.folds", str(folds), "--data.fold", str(fold))) for fold in range(folds)]
    return tuple(
        RunPlan("_".join(filter(None, (seed_name, fold_name))), (*of_seed, *of_fold))
        for seed_name, of_seed in by_seed
        for fold_name, of_fold in by_fold
    )


def trial_folder(out: Path, number: int) -> Path:
    """Return where a trial lies."""
    return out / "trials" / f"{number:04d}"


def run_folder(out: Path, number: int, run: RunPlan) -> Path:
    """Return where a run of a trial lies."""
    return trial_folder(out, number) / run.folder
