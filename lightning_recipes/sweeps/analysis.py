"""What the trials of a sweep say together: which keys matter, and what the best is worth on other images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lightning_recipes.atomic_io import write_json
from lightning_recipes.comparison.groups import Group
from lightning_recipes.comparison.predictions import paired
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.choice import corrected_for_choice
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.figures.sweep import (
    Scale,
    Tried,
    history_figure,
    importance_figure,
    parallel_figure,
    slices_figure,
)
from lightning_recipes.run.reader import RunContents
from lightning_recipes.sweeps.importance import importances
from lightning_recipes.sweeps.kinds import Choice
from lightning_recipes.sweeps.plan import SweepPlan
from lightning_recipes.sweeps.shown import short_key
from lightning_recipes.sweeps.space import Space

__all__ = ["analyse"]

OF_IMAGES = {"val_accuracy": True, "val_loss": False}
"""Metrics that are a mean over images, and whether higher is better."""


def analyse(plan: SweepPlan, report: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``analysis.json`` and the figures of a sweep, and return what the first holds.

    Args:
        plan: Of the sweep.
        report: What ``sweep.json`` holds.
    """
    entries = report["trials"]
    complete = [one for one in entries if one["state"] == "complete"]
    found: dict[str, Any] = {
        "trials": len(entries),
        "complete": len(complete),
        "chosen": _chosen(plan, complete),
        "without_effect": _without_effect(complete),
        "importance": importances(plan.space, entries),
    }
    write_json(plan.out / "analysis.json", found)
    _draw(plan, entries, found)
    return found


def _without_effect(complete: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return keys whose values differ between trials of the same weights: such as a rate, if each stage has one."""
    found: dict[str, None] = {}
    by_weights: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in complete:
        first = by_weights.setdefault(tuple(entry["weights_sha256"]), entry["values"])
        found |= {key: None for key in {**first, **entry["values"]} if first.get(key) != entry["values"].get(key)}
    return list(found)


def _chosen(plan: SweepPlan, complete: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the best is worth, by the trials' predictions of each image; ``why_not`` where they do not say it."""
    if plan.metric not in OF_IMAGES:
        return {"why_not": f"{plan.metric} is no mean over images"}
    if len(complete) < 2:
        return {"why_not": "fewer than two trials are complete"}
    folders = [[plan.out / run for run in one["runs"]] for one in complete]
    if missing := [run for runs in folders for run in runs if not (run / "val_predictions.csv").exists()]:
        return {"why_not": f"{missing[0]} is on another machine"}
    groups = [Group(runs[0].parent.name, tuple(RunContents(run) for run in runs)) for runs in folders]
    try:
        judged = paired(groups, "val")
    except UserError as error:  # as where the split is searched
        return {"why_not": str(error)}
    values = judged.right if plan.metric == "val_accuracy" else judged.losses
    if values is None:
        return {"why_not": "the runs do not say the log loss of each image"}
    scores = np.array([runs.mean(axis=0) for runs in values])
    chosen = corrected_for_choice(scores, higher_is_better=OF_IMAGES[plan.metric])
    return {"images": scores.shape[1], **asdict(chosen), "ci95": list(chosen.ci95)}


def _draw(plan: SweepPlan, entries: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> None:
    folder, higher = plan.out / "figures", plan.mode == "max"
    tried = [_tried(one) for one in entries]
    searched = [_axis(plan.space, number) for number in range(len(plan.space.keys))]
    made: dict[str, Any] = {}
    if any(one.metric is not None for one in tried):
        made["history"] = history_figure(tried, plan.metric, higher_is_better=higher)
    if found["complete"]:
        made["slices"] = slices_figure(tried, searched, plan.metric)
        made["parallel"] = parallel_figure(tried, searched, plan.metric, higher_is_better=higher)
    if found["importance"]:
        made["importance"] = importance_figure([row | {"key": short_key(row["key"])} for row in found["importance"]])
    for name in ("history", "slices", "parallel", "importance"):
        path: Path = folder / f"{name}.png"
        if name in made:
            save_figure(made[name], path)
        else:
            path.unlink(missing_ok=True)


def _axis(space: Space, number: int) -> Scale:
    one = space.keys[number]
    if isinstance(one.kind, Choice):
        return Scale(short_key(one.key), choices=tuple(_word(value) for value in one.kind.values))
    return Scale(short_key(one.key), one.kind.low, one.kind.high, one.kind.log)


def _tried(entry: Mapping[str, Any]) -> Tried:
    low, high = entry["ci95"] or (None, None)
    values = {short_key(key): value if _is_number(value) else _word(value) for key, value in entry["values"].items()}
    return Tried(entry["number"], entry["metric"], low, high, entry["state"], values)


def _word(value: Any) -> str:
    return "off" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
