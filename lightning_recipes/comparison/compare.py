"""The comparison of runs: read, paired, judged, and written."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lightning_recipes.atomic_io import write_json
from lightning_recipes.comparison.groups import Group, find_groups
from lightning_recipes.comparison.page import write_page
from lightning_recipes.comparison.pairs import Difference, Pair, mean_of_losses, mean_of_right, pairs_of
from lightning_recipes.comparison.pictures import changed_images, figures_of
from lightning_recipes.comparison.predictions import Paired, Split, paired
from lightning_recipes.comparison.recipes import differences
from lightning_recipes.comparison.words import advice, points, speaks_of, verdict, warning
from lightning_recipes.data.sources.source import ImageSource
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.loggers.wandb import Mode
from lightning_recipes.loggers.wandb_comparison import log_comparison
from lightning_recipes.run.reader import RunContents

__all__ = ["Compared", "compare"]

COSTS = ("seconds", "train_images_per_second", "parameters")


@dataclass(frozen=True)
class Compared:
    """What a comparison came to.

    Attributes:
        folder: Where it lies.
        pairs: What ``compare.json`` holds.
        said: Of each pair ``what``, ``number`` and ``advice``, in words.
    """

    folder: Path
    pairs: list[dict[str, Any]]
    said: list[dict[str, str]]


def compare(
    runs: Sequence[str],
    *,
    out: str = "comparison",
    split: Split = "val",
    against_first: bool = False,
    wandb: Mode | None = None,
    called: Sequence[str] | None = None,
    open_images: Callable[[RunContents, Split], ImageSource | None] = lambda run, split: None,
) -> Compared:
    """Say which of several runs, or of recipes with several runs, is better, and whether that is sure.

    Writes ``compare.json``, ``compare.html`` and ``figures/`` into ``out``, in the place of an earlier comparison's.

    Args:
        runs: Each a run's folder, a folder of numbered runs, which are one recipe's seeds, or runs with commas between.
        out: Folder to write.
        split: Whose predictions are read: ``RUN/val_predictions.csv``, or ``test_predictions.csv``.
        against_first: Compare each with the first alone.
        wandb: Log tables and figures as a run of W&B, too (default: do not).
        called: What each is called (default: as it is named in ``runs``).
        open_images: Gives the images of a run's split for the pictures; None where they are not there.

    Raises:
        UserError: The runs cannot be compared, as they were judged on other images.
    """
    groups = find_groups(runs, called)
    found = paired(groups, split)
    pairs = pairs_of(found, against_first=against_first)
    described = [_described(group, found, place) for place, group in enumerate(groups)]
    entries = [_entry(pair, groups, found, described) for pair in pairs]
    said = [
        {"what": verdict(pair, groups, found), "number": _number(pair, found), "advice": advice(pair)} for pair in pairs
    ]
    folder = Path(out)
    _write_figures(folder, figures_of(pairs, groups, found, lambda: open_images(groups[0].recipe, split)))
    write_json(folder / "compare.json", entries)
    write_page(folder, entries, said)
    if wandb is not None:
        log_comparison(folder, entries, mode=wandb)
    return Compared(folder, entries, said)


def _write_figures(folder: Path, made: dict[str, Any]) -> None:
    for old in (folder / "figures").glob("changed_*.png"):  # of another comparison
        old.unlink()
    for name, figure in made.items():
        save_figure(figure, folder / "figures" / f"{name}.png")


def _described(group: Group, found: Paired, place: int) -> dict[str, Any]:
    """What a group is: its runs, what it reaches, and what it costs, the median of its runs."""
    summaries = [run.summary for run in group.runs]
    costs = {name: [one[name] for one in summaries if one.get(name) is not None] for name in COSTS}
    return {
        "runs": [str(run.folder) for run in group.runs],
        "finished": all(one.get("finished", False) for one in summaries),
        "accuracy": mean_of_right(found.right[place]),
        "log_loss": None if found.losses is None else mean_of_losses(found.losses[place]),
        **{name: median(values) if values else None for name, values in costs.items()},
    }


def _entry(pair: Pair, groups: Sequence[Group], found: Paired, described: Sequence[dict[str, Any]]) -> dict[str, Any]:
    a, b = groups[pair.a], groups[pair.b]
    known = a.recipe.recipe and b.recipe.recipe
    keys = differences(a.recipe.recipe, b.recipe.recipe) if known else []
    return {
        "a": a.name,
        "b": b.name,
        "images": len(found.paths),
        **_numbers(pair.accuracy),
        "log_loss": None if pair.log_loss is None else _numbers(pair.log_loss),
        "groups": {"a": described[pair.a], "b": described[pair.b]},
        "recipe": [asdict(one) for one in keys],
        "warning": warning(keys, a, b),
        "changed": [*_changed(pair, found, "a"), *_changed(pair, found, "b")],
    }


def _numbers(one: Difference) -> dict[str, Any]:
    return {
        "difference": one.value,
        "ci95": list(one.ci95),
        "p_value": one.p_value,
        "p_adjusted": one.p_adjusted,
        "verdict": one.verdict,
        "images_needed": one.images_needed,
        "runs_needed": one.runs_needed,
    }


def _changed(pair: Pair, found: Paired, side: str) -> list[dict[str, Any]]:
    """Images that a side has right more often, with what the first run of each says."""
    return [
        {
            "path": found.paths[image],
            "true": found.true[image],
            "better": side,
            "difference": float(pair.gain[image]),
            "a_says": found.said[pair.a][image],
            "b_says": found.said[pair.b][image],
        }
        for image in changed_images(pair, better=1 if side == "a" else -1)
    ]


def _number(pair: Pair, found: Paired) -> str:
    """How far the better one is ahead; where none is, the first less the second."""
    one = pair.accuracy
    which = "first less second " if one.verdict == "not shown" else ""
    ahead = points(one.value, one.ci95, turned=one.verdict == "b")
    adjusted = "" if one.p_adjusted == one.p_value else f", {one.p_adjusted:.2g} corrected for all pairs"
    return f"{which}{ahead} points, p {one.p_value:.2g}{adjusted}; {speaks_of(pair, found)}"
