"""``sweep.html``: a sweep as one page, in the style of a run's report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.run.report.page import page_html
from lightning_recipes.run.report.parts import Part, Section, Tile, figure, number, table, text
from lightning_recipes.sweeps.plan import SweepPlan
from lightning_recipes.sweeps.report import best_of, ranked, shown_interval, shown_metric
from lightning_recipes.sweeps.shown import short_key, shown_values

__all__ = ["chosen_in_words", "without_effect_in_words", "write_page"]

MOST_ROWS = 200
CAPTIONS = {
    "history": "What each trial reached, with the interval of its metric.",
    "importance": "Share of the metric's variance that each key explains alone (functional ANOVA).",
    "slices": "What was reached over each key alone; later trials are darker.",
    "parallel": "A line a trial: its values, and at the right what it reached. The best are darkest.",
}


def write_page(plan: SweepPlan, report: Mapping[str, Any], analysis: Mapping[str, Any]) -> Path:
    """Write ``sweep.html`` and return its path.

    Args:
        plan: Of the sweep.
        report: What ``sweep.json`` holds.
        analysis: What ``analysis.json`` holds.
    """
    figures = {path.stem: path for path in sorted((plan.out / "figures").glob("*.png"))}
    shown = [figure(name, caption) for name, caption in CAPTIONS.items() if name in figures]
    sections = [
        Section("chosen", "What the best is worth", _chosen(plan, report, analysis)),
        Section("figures", "What was tried", shown),
        Section("trials", "Trials", [_trials(plan, report["trials"]), *_more(report["trials"])]),
    ]
    html = page_html(
        title=f"Sweep {plan.out.resolve().name}",
        lead=f"{analysis['complete']} of {plan.trials} trials are complete; {plan.sampler}, seed {plan.seed}.",
        tiles=_tiles(plan, report, analysis),
        sections=[section for section in sections if section.parts],
        figures=figures,
        footer=f"Written by lightning-recipes {__version__}; sweep.json has every trial, analysis.json these numbers.",
    )
    path = plan.out / "sweep.html"
    with whole_file(path) as part:
        part.write_text(html, encoding="utf-8", errors="replace")
    return path


def chosen_in_words(plan: SweepPlan, analysis: Mapping[str, Any]) -> str:
    """Return what to expect of the best trial on other images, or why that is not known."""
    found = analysis["chosen"]
    if "why_not" in found:
        return f"What the best is worth on other images is not known: {found['why_not']}."
    value, corrected = (shown_metric(plan.metric, found[name]) for name in ("value", "corrected"))
    interval = shown_interval(plan.metric, found["ci95"])
    return (
        f"The best of {analysis['complete']} trials has {plan.metric} {value} on the {found['images']:,} images that "
        f"it was chosen by; on others expect {corrected} (95 % interval {interval})."
    )


def without_effect_in_words(analysis: Mapping[str, Any]) -> str:
    """Return which keys change nothing in this recipe; empty where all do."""
    keys = analysis["without_effect"]
    if not keys:
        return ""
    named = ", ".join(map(short_key, keys))
    return f"Trials have the same weights with other values of {named}: in this recipe that has no effect."


def _tiles(plan: SweepPlan, report: Mapping[str, Any], analysis: Mapping[str, Any]) -> list[Tile]:
    best = best_of(report["trials"], plan.mode)
    if best is None:
        return []
    tiles = [_tile(plan.metric, f"Best: trial {best['number']}", best["metric"], best["ci95"])]
    chosen, tested = analysis["chosen"], report["test"] or {}
    if "corrected" in chosen:
        tiles.append(_tile(plan.metric, "Corrected for the choice", chosen["corrected"], chosen["ci95"]))
    name = plan.metric.replace("val_", "test_", 1)
    if name in tested:
        tiles.append(_tile(name, "On test images", tested[name]["value"], tested[name]["ci95"]))
    return tiles


def _tile(metric: str, name: str, value: float, ci95: Sequence[float] | None) -> Tile:
    if metric.endswith("loss"):
        return Tile(name, number(value, ".4f"), shown_interval(metric, None if ci95 is None else list(ci95)))
    return Tile.of_share(name, value, ci95)


def _chosen(plan: SweepPlan, report: Mapping[str, Any], analysis: Mapping[str, Any]) -> list[Part]:
    parts = [text(chosen_in_words(plan, analysis))] if analysis["complete"] else []
    parts += [text(said)] if (said := without_effect_in_words(analysis)) else []
    tested = report["test"]
    if tested:
        rows = [
            (name, number(found["value"], ".4f"), "-" if found["ci95"] is None else _between(found["ci95"]))
            for name, found in tested.items()
            if isinstance(found, Mapping)
        ]
        said = f"Trial {tested['trial']} on {tested['images']:,} test images, which no trial was chosen by; once."
        parts += [text(said), table(["metric", "value#", "95 %#"], rows)]
    return parts


def _between(ci95: Sequence[float]) -> str:
    return f"{ci95[0]:.4f} to {ci95[1]:.4f}"


def _trials(plan: SweepPlan, entries: Sequence[Mapping[str, Any]]) -> Part:
    others = sorted((one for one in entries if one["state"] != "complete"), key=lambda one: one["number"])
    rows = [
        (entry["number"], entry["state"], shown_metric(plan.metric, entry["metric"]),
         shown_interval(plan.metric, entry["ci95"]) or "-", number(entry["seconds"], ",.0f"),
         shown_values(entry["values"]), entry["reason"] or "")
        for entry in [*ranked(entries, plan.mode), *others][:MOST_ROWS]
    ]  # fmt: skip
    return table(["trial#", "state", f"{plan.metric}#", "95 %#", "seconds#", "values~", "reason~"], rows)


def _more(entries: Sequence[Mapping[str, Any]]) -> list[Part]:
    left = len(entries) - MOST_ROWS
    return [text(f"{left:,} more are in sweep.json.")] if left > 0 else []
