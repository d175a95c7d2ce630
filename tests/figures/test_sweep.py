"""Pictures of a sweep have what was tried, whatever kinds of values there were."""

from typing import Any

import pytest

from lightning_recipes.figures.sweep import (
    Scale,
    Tried,
    history_figure,
    importance_figure,
    parallel_figure,
    slices_figure,
)

KEYS = [
    Scale("model.lr", 1e-4, 1e-1, log=True),
    Scale("model.optimizer", choices=("sgd", "adamw")),
    Scale("model.optimizer.momentum", 0.8, 0.99),
]
TRIALS = [
    Tried(0, 0.8, 0.7, 0.9, "complete", {"model.lr": 1e-3, "model.optimizer": "sgd", "model.optimizer.momentum": 0.9}),
    Tried(1, None, None, None, "failed", {"model.lr": 1e-1, "model.optimizer": "adamw"}),
    Tried(2, 0.9, None, None, "complete", {"model.lr": 1e-2, "model.optimizer": "adamw"}),
    Tried(3, 0.4, None, None, "pruned", {"model.lr": 1e-4, "model.optimizer": "adamw"}),
]


@pytest.mark.parametrize(("higher", "best"), [(True, [0.8, 0.9]), (False, [0.8, 0.8])])
def test_the_history_has_the_best_so_far_of_trials_that_are_complete(higher: bool, best: list[float]) -> None:
    axes: Any
    (axes,) = history_figure(TRIALS, "val_accuracy", higher_is_better=higher).axes
    (line,) = [one for one in axes.lines if one.get_label() == "best so far"]
    assert list(line.get_ydata()) == best
    assert list(line.get_xdata()) == [0, 2]


def test_slices_leave_out_trials_in_which_a_key_does_not_exist() -> None:
    figure: Any = slices_figure(TRIALS, KEYS, "val_accuracy")
    points = [panel.collections[0].get_offsets().tolist() for panel in figure.axes]
    assert points == [[[1e-3, 0.8], [1e-2, 0.9]], [[0.0, 0.8], [1.0, 0.9]], [[0.9, 0.8]]]
    assert figure.axes[0].get_xscale() == "log"


def test_lines_end_at_the_metric() -> None:
    axes: Any
    (axes,) = parallel_figure(TRIALS, KEYS, "val_accuracy", higher_is_better=True).axes
    lines = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) > 2]
    assert [line[-1] for line in lines] == [[3, 0.0], [3, 1.0]]
    assert lines[0][0] == [0, pytest.approx(1 / 3)]  # a thousandth, from a ten-thousandth to a tenth


def test_importances_have_their_intervals() -> None:
    axes: Any
    (axes,) = importance_figure([{"key": "model.lr", "importance": 0.7, "low": 0.4, "high": 0.9}]).axes
    assert axes.lines[0].get_xdata().tolist() == [0.4, 0.9]
