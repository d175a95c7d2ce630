"""confusion.png: its colours mean the same in every run."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lightning_recipes.figures.confusion import confusion_figure


def redness(figure: Figure, share: float) -> float:
    """How far the colour of a share is from white, from 0 to 1."""
    image = figure.axes[0].images[0]
    return 1 - float(np.mean(np.asarray(image.cmap(image.norm(np.array([share]))))[0, :3]))


def two(mistakes: int) -> Figure:
    return confusion_figure(np.array([[1000 - mistakes, mistakes], [0, 1000]]), ["cat", "dog"])


def test_three_percent_are_pale_also_where_nothing_is_worse() -> None:
    assert redness(two(30), 0.03) < 0.2 * 1.0
    assert redness(two(30), 0.03) == redness(two(900), 0.03)
    assert redness(two(30), 1.0) > 3 * redness(two(30), 0.03)


def test_no_mistake_is_white_and_one_percent_is_not() -> None:
    figure = two(10)
    assert redness(figure, 0.0) == 0
    assert redness(figure, 0.01) > 0.03
    assert two(0).axes[0].get_title() == "0 mistakes in 2000 validation images"


@pytest.mark.parametrize("classes", [1, 2, 25, 60, 61, 200])
def test_it_is_drawn_with_any_number_of_classes(classes: int) -> None:
    figure = confusion_figure(np.eye(classes, dtype=np.int64), [f"class {number}" for number in range(classes)])
    figure.draw_without_rendering()
    assert ("number of the class" in figure.axes[0].get_xlabel()) == (classes > 60)


def test_the_scale_is_written_in_percent() -> None:
    bar = two(3).axes[1]
    assert [label.get_text() for label in bar.get_yticklabels()][-1] == "100 %"
    assert "true class" in bar.get_ylabel()
