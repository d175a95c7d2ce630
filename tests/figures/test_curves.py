"""curves.png: nothing covers the curves, and a step that is one of the images is marked."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from lightning_recipes.figures.curves import learning_curves

CACHED, AUGMENTED = "cached features (no augmentation)", "augmented images"


def rows(train: list[float], val: list[float], losses: list[float] | None = None) -> list[dict[str, str]]:
    """As metrics.csv has them: one row for validation, one for training."""
    found = []
    for epoch, (a, b) in enumerate(zip(train, val, strict=True)):
        loss = 1 - a if losses is None else losses[epoch]
        found.append({"epoch": str(epoch), "val_accuracy": str(b), "val_loss": str(1 - b), "train_accuracy": ""})
        found.append({"epoch": str(epoch), "train_accuracy": str(a), "train_loss": str(loss), "val_accuracy": ""})
    return found


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("epochs", [1, 3, 40])
def test_the_legend_covers_no_panel(epochs: int) -> None:
    level = [0.5] * epochs  # in the middle, where a legend inside would lie
    figure = learning_curves(rows(level, level), {"head": 0}, {"head": AUGMENTED})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    for axes in figure.axes:
        assert axes.get_legend() is None
        assert not legend.get_window_extent().overlaps(axes.get_tightbbox())  # type: ignore[arg-type]
    assert legend_of(figure) == ["training", "validation"]


def test_training_breaks_where_it_begins_to_be_measured_on_other_images() -> None:
    train, val = [0.9, 1.0, 1.0, 0.7, 0.8], [0.8, 0.8, 0.8, 0.8, 0.9]
    stages = {"head": 0, "all": 3}
    figure = learning_curves(rows(train, val), stages, {"head": CACHED, "all": AUGMENTED})
    assert legend_of(figure) == [f"training, on {CACHED}", f"training, on {AUGMENTED}", "validation"]
    curves = {line.get_label(): line for line in figure.axes[1].lines if line.get_gid() == "curve"}
    first, second = curves[f"training, on {CACHED}"], curves[f"training, on {AUGMENTED}"]
    assert np.asarray(first.get_xdata()).tolist() == [0, 1, 2]
    assert np.asarray(second.get_xdata()).tolist() == [3, 4]
    assert first.get_linestyle() != second.get_linestyle()
    assert np.asarray(curves["validation"].get_xdata()).tolist() == [0, 1, 2, 3, 4]


def test_a_kind_of_images_that_comes_back_is_one_entry_of_the_legend() -> None:
    level, stages = [0.5] * 6, {"one": 0, "two": 2, "three": 4}
    figure = learning_curves(rows(level, level), stages, {"one": CACHED, "two": AUGMENTED, "three": CACHED})
    assert legend_of(figure) == [f"training, on {CACHED}", f"training, on {AUGMENTED}", "validation"]
    assert sum(line.get_gid() == "curve" for line in figure.axes[0].lines) == 4


def test_losses_that_are_no_number_or_diverge_leave_the_others_readable() -> None:
    level = [0.5] * 6
    figure = learning_curves(rows(level, level, [2.0, 1.5, 1.0, 1e30, math.nan, math.inf]))
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == "log"
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "training"]
    assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all()
    assert len(np.asarray(line.get_xdata())) == 4


def test_rows_without_losses_are_an_empty_figure() -> None:
    figure = learning_curves([{"epoch": "0", "train_loss": "nan"}])
    figure.draw_without_rendering()
    assert not figure.legends


def test_a_pretraining_shows_the_methods_loss_and_what_judges_it() -> None:
    said = {"train_pretext_loss": "2", "val_pretext_loss": "3", "train_embedding_rank": "9", "val_loss": "1"}
    alone = learning_curves([{"epoch": "0", **said}])
    assert [axes.get_ylabel() for axes in alone.axes] == ["loss of the method", "directions of the embeddings"]
    judged = learning_curves([{"epoch": "0", **said, "val_accuracy": "0.5", "val_knn_accuracy": "0.4"}])
    assert [axes.get_ylabel() for axes in judged.axes][1:3] == ["accuracy", "accuracy of the nearest neighbours"]
