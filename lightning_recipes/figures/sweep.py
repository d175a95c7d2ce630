"""What a sweep has tried and reached."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightning_recipes.figures.class_labels import plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Scale", "Tried", "history_figure", "importance_figure", "parallel_figure", "slices_figure"]

LONGEST = 30  # columns of a key
COLUMNS = 3
MOST = 12  # keys that there is room for
BEHIND = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8}


@dataclass(frozen=True)
class Scale:
    """A key and how its values lie on an axis.

    Attributes:
        key: Of the recipe.
        low: Of numbers the smallest that is searched.
        high: The largest.
        log: Whether they lie evenly in their logarithm.
        choices: In words, where they are no range of numbers.
    """

    key: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A trial.

    Attributes:
        number: From 0.
        metric: That it reached; None where it reached none.
        low: Where the interval of that begins; None without one.
        high: Where it ends.
        state: ``complete``, ``pruned``, ``failed`` or ``running``.
        values: By key: a number, or the words of a choice; a key that does not exist in it is not there.
    """

    number: int
    metric: float | None
    low: float | None
    high: float | None
    state: str
    values: Mapping[str, Any]


def history_figure(trials: Sequence[Tried], metric: str, *, higher_is_better: bool) -> "Figure":
    """Draw what each trial reached, with its interval, and the best so far.

    Args:
        trials: By number.
        metric: What it is called.
        higher_is_better: Or lower.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes: Any = figure.subplots()
    better = max if higher_is_better else min
    best: list[tuple[int, float]] = []
    for one in trials:
        if one.metric is None:
            continue
        done = one.state == "complete"
        colour = "tab:blue" if done else "0.65"
        if one.low is not None and one.high is not None and done:
            axes.plot([one.number] * 2, [one.low, one.high], color="tab:blue", alpha=0.35, linewidth=2)
        axes.plot(one.number, one.metric, "o" if done else "x", color=colour, markersize=4.5)
        if done:
            best.append((one.number, better([one.metric, *(value for _, value in best[-1:])])))
    if best:
        axes.step(*zip(*best, strict=True), where="post", color="tab:orange", linewidth=1.4, label="best so far")
        axes.legend(frameon=False, fontsize=8)
    for one in trials:
        if one.state == "failed":
            axes.axvline(one.number, color="tab:red", alpha=0.3, linewidth=1.2)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trial (x: pruned, red: failed)")
    axes.set_ylabel(plain(metric))
    return figure


def slices_figure(trials: Sequence[Tried], searched: Sequence[Scale], metric: str) -> "Figure":
    """Draw the metric over each key alone, of trials that are complete; later ones are darker.

    Args:
        trials: By number.
        searched: Keys; the first twelve are drawn.
        metric: What it is called.
    """
    from matplotlib.figure import Figure

    shown = searched[:MOST]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.6, 2.7 * rows + 0.3), layout="constrained")
    panels: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel in panels.flat[len(shown) :]:
        panel.set_axis_off()
    for panel, key in zip(panels.flat, shown, strict=False):
        points = [one for one in trials if one.state == "complete" and one.metric is not None and key.key in one.values]
        across = [_place(key, one.values[key.key]) for one in points]
        numbers = [one.number for one in points]
        panel.scatter(across, [one.metric for one in points], c=numbers, cmap="Blues", vmin=-max(1, *numbers, 1), s=18)
        _axis(panel, key)
        panel.set_xlabel(short(key.key, LONGEST), fontsize=9)
    for row in panels:
        row[0].set_ylabel(plain(metric), fontsize=9)
    return figure


def _place(key: Scale, value: Any) -> float:
    return float(key.choices.index(str(value))) if key.choices else float(value)


def _axis(panel: "Axes", key: Scale) -> None:
    if key.choices:
        names = [short(name, 10) for name in key.choices]
        panel.set_xticks(range(len(names)), names, fontsize=8, rotation=30 if len(names) > 3 else 0)
        panel.set_xlim(-0.5, len(names) - 0.5)
    elif key.log:
        panel.set_xscale("log")


def parallel_figure(
    trials: Sequence[Tried], searched: Sequence[Scale], metric: str, *, higher_is_better: bool
) -> "Figure":
    """Draw each complete trial as a line through its values to its metric, the best last and darkest.

    Args:
        trials: In any order.
        searched: Keys, an axis each; the first twelve are drawn.
        metric: What it is called; the last axis.
        higher_is_better: Or lower.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    shown = searched[:MOST]
    done = [(one, one.metric) for one in trials if one.state == "complete" and one.metric is not None]
    low, high = min(m for _, m in done), max(m for _, m in done)
    figure = Figure(figsize=(1.7 * (len(shown) + 1) + 1.2, 4.4), layout="constrained")
    axes: Any = figure.subplots()
    colours = colormaps["viridis_r"]
    for one, reached in sorted(done, key=lambda pair: pair[1], reverse=not higher_is_better):
        share = (reached - low) / (high - low) if high > low else 1.0
        there = [(place, _share(key, one.values[key.key])) for place, key in enumerate(shown) if key.key in one.values]
        line = [*there, (len(shown), share)]
        axes.plot(
            *zip(*line, strict=True), color=colours(share if higher_is_better else 1 - share), alpha=0.75, linewidth=1.3
        )
    for place, key in enumerate(shown):
        axes.axvline(place, color="0.3", linewidth=0.8)
        marks = (
            list(enumerate(key.choices))
            if key.choices
            else [(key.low, f"{key.low:.3g}"), (key.high, f"{key.high:.3g}")]
        )
        for value, name in marks:
            at = (float(value) + 0.5) / len(key.choices) if key.choices else _share(key, value)
            axes.annotate(
                short(str(name), 12), (place, at), xytext=(3, 0), textcoords="offset points", fontsize=7, bbox=BEHIND
            )
    axes.axvline(len(shown), color="0.3", linewidth=0.8)
    for value, at in ((low, 0.0), (high, 1.0)):
        axes.annotate(
            f"{value:.4g}", (len(shown), at), xytext=(3, 0), textcoords="offset points", fontsize=7, bbox=BEHIND
        )
    names = [short(key.key, 18) for key in shown]
    axes.set_xticks(range(len(shown) + 1), [*names, plain(metric)], fontsize=8, rotation=20)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(shown) + 0.45)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _share(key: Scale, value: Any) -> float:
    """Where a value lies on its axis, in [0, 1]."""
    if key.choices:
        return (key.choices.index(str(value)) + 0.5) / len(key.choices)
    if key.log:
        return math.log(value / key.low) / math.log(key.high / key.low)
    return (float(value) - key.low) / (key.high - key.low)


def importance_figure(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw how much each key matters, with its interval.

    Args:
        rows: With ``key``, ``importance``, ``low`` and ``high``, all in [0, 1]; the largest first.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.2 + 0.36 * len(rows)), layout="constrained")
    axes: Any = figure.subplots()
    places = range(len(rows))
    axes.barh(places, [row["importance"] for row in rows], color="tab:blue", alpha=0.55, height=0.6)
    for place, row in zip(places, rows, strict=True):
        axes.plot([row["low"], row["high"]], [place, place], color="0.25", linewidth=1.6)
    axes.set_yticks(places, [short(row["key"], LONGEST) for row in rows], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the metric's variance (95 % interval over trials)")
    return figure
