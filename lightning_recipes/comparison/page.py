"""``compare.html``: a comparison as one page, in the style of a run's report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_recipes._version import __version__
from lightning_recipes.atomic_io import whole_file
from lightning_recipes.comparison.words import better_on, points
from lightning_recipes.run.report.page import page_html
from lightning_recipes.run.report.parts import Part, Section, Tile, figure, finding, heading, number, share, table, text

__all__ = ["write_page"]

MOST_KEYS, MOST_IMAGES = 40, 20
Entry = Mapping[str, Any]


def write_page(folder: Path, pairs: Sequence[Entry], said: Sequence[Entry]) -> Path:
    """Write ``compare.html`` and return its path.

    Args:
        folder: With ``figures``.
        pairs: What ``compare.json`` holds.
        said: Of each pair ``what``, ``number`` and ``advice``.
    """
    figures = {path.stem: path for path in sorted((folder / "figures").glob("*.png"))}
    sections = [
        Section("verdicts", "Which is better", [finding(**one) for one in said]),
        _table(pairs),
        *(_pair(place, pair, figures) for place, pair in enumerate(pairs)),
    ]
    html = page_html(
        title="Comparison",
        lead=f"{len(_groups(pairs))} recipes on the same {pairs[0]['images']:,} images.",
        tiles=_tiles(pairs),
        sections=[section for section in sections if section.parts],
        figures=figures,
        footer=f"Written by lightning-recipes {__version__}; compare.json has every number and every image.",
    )
    path = folder / "compare.html"
    with whole_file(path) as part:
        part.write_text(html, encoding="utf-8", errors="replace")
    return path


def _groups(pairs: Sequence[Entry]) -> dict[str, Entry]:
    """What each group is, by its name."""
    return {pair[side]: pair["groups"][side] for pair in pairs for side in ("a", "b")}


def _tiles(pairs: Sequence[Entry]) -> list[Tile]:
    return [
        Tile.of_share(name, one["accuracy"]["value"], one["accuracy"]["ci95"]) for name, one in _groups(pairs).items()
    ]


def _table(pairs: Sequence[Entry]) -> Section:
    groups = [
        (name, len(one["runs"]), _share(one["accuracy"]), _value(one["log_loss"]), number(one["seconds"], ",.0f"),
         number(one["train_images_per_second"], ",.0f"), number(one["parameters"], ",.0f"))
        for name, one in _groups(pairs).items()
    ]  # fmt: skip
    columns = ["recipe", "runs#", "accuracy#", "log loss#", "seconds a run#", "images/s#", "parameters#"]
    rows = [
        (f"{pair['a']} - {pair['b']}", points(pair["difference"], pair["ci95"]),
         number(pair["p_value"], ".2g"), number(pair["p_adjusted"], ".2g"),
         pair.get(pair["verdict"], pair["verdict"]), _value(pair["log_loss"], "difference", "+.4f"))
        for pair in pairs
    ]  # fmt: skip
    heads = ["difference", "points#", "p#", "p, Holm#", "better", "log loss#"]
    return Section("table", "Numbers", [table(columns, groups), figure("differences", _CAPTION), table(heads, rows)])


_CAPTION = "Differences with 95 % intervals, each of its pair alone; coloured where the corrected p is below 0.05."


def _share(metric: Entry) -> str:
    low, high = metric["ci95"]
    return share({"value": metric["value"], "low": low, "high": high})


def _value(metric: Entry | None, name: str = "value", form: str = ".4f") -> str:
    if metric is None:
        return "-"
    low, high = metric["ci95"]
    return f"{metric[name]:{form}} ({low:{form}} to {high:{form}})"


def _pair(place: int, pair: Entry, figures: Mapping[str, Path]) -> Section:
    a, b, keys, parts = pair["a"], pair["b"], pair["recipe"], list[Part]()
    if pair["warning"]:
        parts.append(text(f"{pair['warning']}."))
    if keys:
        parts.append(table(["key", f"{a}~", f"{b}~"], [_key(one) for one in keys[:MOST_KEYS]]))
    if len(keys) > MOST_KEYS:
        parts.append(text(f"{len(keys) - MOST_KEYS:,} more are in compare.json."))
    alone = all(len(pair["groups"][side]["runs"]) == 1 for side in ("a", "b"))
    for side, right, wrong in (("a", a, b), ("b", b, a)):
        changed = [one for one in pair["changed"] if one["better"] == side]
        parts.append(heading(f"{better_on(right, wrong, alone=alone)}: {len(changed):,} images"))
        if (name := f"changed_{place}_{side}") in figures:
            parts.append(figure(name, f"With what the first run of {wrong} says of each."))
        elif changed:
            rows = [(one["path"], one["true"], one[f"{'b' if side == 'a' else 'a'}_says"]) for one in changed]
            parts.append(table(["image~", "is", f"{wrong} says"], rows[:MOST_IMAGES]))
    return Section(f"pair-{place}", f"{a} and {b}", parts)


def _key(one: Entry) -> tuple[str, str, str]:
    return one["key"], _plain(one["a"]), _plain(one["b"])


def _plain(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
