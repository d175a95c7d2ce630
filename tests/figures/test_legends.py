"""No legend covers what a panel shows or what is written at its axes."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from lightning_recipes.evaluation.calibration import Bin
from lightning_recipes.figures.calibration import calibration_figure
from lightning_recipes.figures.range_test import range_test_figure
from lightning_recipes.figures.snapshots import CycleCurve, snapshot_figure
from lightning_recipes.optim.range_test import Suggestion


def range_test() -> Figure:
    rates = np.geomspace(1e-5, 1, 50).tolist()
    found = {name: Suggestion(1e-2, 1e-3, 1e-1) for name in ("steep", "valley", "minimum", "slide")}
    return range_test_figure(rates, [[1.0] * 50, [0.9] * 50], found, chosen="steep", title="head")


def snapshots() -> Figure:
    one = {"accuracy": 0.5, "ci95": [0.4, 0.6]}
    result = {"last": [one] * 4, "single": [one] * 4, "soup": one, "disagreement": [[0.0, 0.1], [0.1, 0.0]]}
    return snapshot_figure(result, CycleCurve([0.5] * 8, [0.5] * 8, [2, 4, 6, 8]))


def calibration() -> Figure:
    bins = [Bin(confidence=p, accuracy=1.0, ci95=(0.9, 1.0), images=10) for p in (0.1, 0.3, 0.9)]
    return calibration_figure(bins, bins, error=0.1, mended_error=0.05)


@pytest.mark.parametrize("make", [range_test, snapshots, calibration])
def test_a_legend_is_beside_its_panels(make: Callable[[], Figure]) -> None:
    figure = make()
    figure.draw_without_rendering()
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    assert legends
    for legend in legends:
        box = legend.get_window_extent()
        for axes in figure.axes:
            written = [axes.xaxis.get_tightbbox(), axes.yaxis.get_tightbbox()]
            assert not any(box.overlaps(other) for other in (axes.get_window_extent(), *written) if other is not None)
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
