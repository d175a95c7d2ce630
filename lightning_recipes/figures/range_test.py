"""The range test as a picture: loss over the learning rate, the band of the data orders, and what is suggested."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lightning_recipes.figures.class_labels import plain
from lightning_recipes.optim.range_test import Suggestion, mean_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["range_test_figure"]


def range_test_figure(
    rates: Sequence[float],
    curves: Sequence[Sequence[float]],
    suggestions: Mapping[str, Suggestion],
    *,
    chosen: str,
    title: str,
) -> "Figure":
    """Draw smoothed losses over rates.

    Args:
        rates: Rising.
        curves: Smoothed losses, one curve for each data order.
        suggestions: By name of the rule, with the spread over the orders.
        chosen: The rule whose rate is taken; drawn in full.
        title: Of the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        axes.plot(rates[: len(curve)], curve, color="0.7", linewidth=0.9)
    if curves and min(map(len, curves)):
        mean = mean_curve(curves)
        band = [curve[: len(mean)] for curve in curves]
        x = rates[: len(mean)]
        axes.fill_between(x, np.min(band, axis=0), np.max(band, axis=0), color="tab:blue", alpha=0.15, linewidth=0)
        axes.plot(
            x, mean, color="tab:blue", linewidth=2, label=f"mean of {len(curves)} data order{'s' * (len(curves) > 1)}"
        )
        low, high = min(map(min, band)), mean[0]
        axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low) + 1e-9)
    colours = ("tab:red", "tab:green", "tab:purple", "tab:orange", "tab:brown")
    for (name, found), colour in zip(suggestions.items(), colours, strict=False):
        is_chosen = name == chosen
        label = f"{name}: {found.lr:.2g} [{found.low:.2g} to {found.high:.2g}]"
        style = "-" if is_chosen else ":"
        axes.axvline(found.lr, color=colour, linestyle=style, linewidth=2 if is_chosen else 1.4, label=label)
        if is_chosen:
            axes.axvspan(found.low, found.high, color=colour, alpha=0.1, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate of the head")
    axes.set_ylabel("loss on held-out images, smoothed")
    axes.set_title(plain(title), loc="left", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
