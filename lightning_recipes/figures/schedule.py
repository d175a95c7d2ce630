"""The plan as a picture, before anything is trained: rates, momentum, batch and image size over the epochs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lightning_recipes.figures.stages import mark_stages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PlannedRun", "schedule_figure"]

DECADES = 4  # below the highest rate; one-cycle ends further down than anyone wants to see


@dataclass
class PlannedRun:
    """What each moment of a run is planned to be; all lists are as long as ``epochs``.

    Attributes:
        epochs: Epochs that are done, rising.
        rates: For each layer group, stem first, its rate; nan where it is frozen.
        momentum: None where the optimizer's own stays.
        batch_size: Images a step, over all processes; empty where unknown.
        image_size: Side in pixels; empty where unknown.
        boundaries: Epochs that are done when each stage begins, by its name and what trains in it.
    """

    epochs: list[float] = field(default_factory=list)
    rates: dict[str, list[float]] = field(default_factory=dict)
    momentum: list[float | None] = field(default_factory=list)
    batch_size: list[int] = field(default_factory=list)
    image_size: list[int] = field(default_factory=list)
    boundaries: dict[str, float] = field(default_factory=dict)


def schedule_figure(run: PlannedRun, note: str = "") -> "Figure":
    """Draw a planned run; momentum is left out where no schedule moves it.

    Args:
        run: What is planned.
        note: Written behind the title of the first panel.
    """
    from matplotlib.figure import Figure

    panels: dict[str, Sequence[float | None]] = {}
    if any(value is not None for value in run.momentum):
        panels["momentum"] = run.momentum
    panels |= {name: v for name, v in (("batch size", run.batch_size), ("image size (px)", run.image_size)) if v}
    figure = Figure(figsize=(9, 3.4 + 1.1 * len(panels)), layout="constrained")
    ratios = [3.0, *(1.0 for _ in panels)]
    grid = figure.subplots(1 + len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    _draw_rates(grid[0], run.epochs, run.rates)
    grid[0].set_title(
        f"Planned learning rate of each layer group{note}",
        loc="left",
        fontsize=10,
        pad=16 if run.boundaries else None,
    )
    for axes, (name, values) in zip(grid[1:], panels.items(), strict=True):
        axes.step(run.epochs, [math.nan if v is None else v for v in values], where="post", color="tab:gray")
        axes.set_ylabel(name, fontsize=9)
        axes.margins(y=0.25)
        if name != "momentum":
            axes.set_yticks(sorted({v for v in values if v is not None}))
    for number, axes in enumerate(grid):
        mark_stages(axes, run.boundaries, named=number == 0)
        axes.grid(axis="y", color="0.92")
    grid[-1].set_xlabel("epoch")
    return figure


def _draw_rates(axes: "Axes", epochs: Sequence[float], rates: Mapping[str, Sequence[float]]) -> None:
    from matplotlib import colormaps

    for number, (name, values) in enumerate(rates.items()):
        shade = colormaps["viridis"](0.9 * number / max(1, len(rates) - 1))
        # Of many groups the first and the last are named; those between lie between.
        label = name if len(rates) <= 6 or number in (0, len(rates) - 1) else None
        axes.plot(epochs, values, color=shade, label=label, linewidth=1.4)
    top = max((v for values in rates.values() for v in values if v > 0), default=0.0)  # a nan is not > 0
    if top:
        axes.set_yscale("log")
        axes.set_ylim(top * 10.0**-DECADES, top * 2)
    axes.set_ylabel("learning rate")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
