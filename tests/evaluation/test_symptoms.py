"""What the numbers of a training say, on numbers that were thought out."""

import itertools
import math
from functools import partial

import pytest

from lightning_recipes.evaluation.symptoms.classes import NeverPredicted, never_predicted
from lightning_recipes.evaluation.symptoms.epochs import StageCourse, all_known, overfits, stands_still
from lightning_recipes.evaluation.symptoms.layers import LayerOutput, dead_layer, exploding_layer
from lightning_recipes.evaluation.symptoms.loading import waits_for_images
from lightning_recipes.evaluation.symptoms.step_losses import StepLosses, crawls, shot_up

ACCURACY = ("val_accuracy", "max")


def course(**columns: list[float]) -> StageCourse:
    """A stage with so many epochs, by the columns of their metrics."""
    length = len(next(iter(columns.values())))
    rows = {epoch: {name: values[epoch] for name, values in columns.items()} for epoch in range(length)}
    return StageCourse("all", 0, 2 * length + 2, cached=True, rows=rows)


def losses(*values: float) -> StepLosses:
    of = StepLosses()
    for value in values:
        of.add(value)
    return of


def test_validation_rises_while_training_falls() -> None:
    told = partial(overfits, lowers_later=False)
    falls = [1.0, 0.8, 0.6, 0.4, 0.2, 0.1]
    found = told(course(train_loss=falls, val_loss=[0.9, 0.7, 0.5, 0.6, 0.65, 0.7]), ACCURACY)
    assert found is not None
    assert found.number == "since epoch 2: validation 0.5 to 0.7, training 0.6 to 0.1"
    # Only two validations above the lowest one; a rise of a tenth; the training loss stays; the accuracy still rises.
    assert told(course(train_loss=falls, val_loss=[0.9, 0.7, 0.6, 0.5, 0.65, 0.7]), ACCURACY) is None
    assert told(course(train_loss=falls, val_loss=[0.9, 0.7, 0.5, 0.52, 0.53, 0.55]), ACCURACY) is None
    assert told(course(train_loss=[0.6] * 6, val_loss=[0.9, 0.7, 0.5, 0.6, 0.65, 0.7]), ACCURACY) is None
    better = [0.5, 0.6, 0.7, 0.71, 0.72, 0.73]
    rises = course(train_loss=falls, val_loss=[0.9, 0.7, 0.5, 0.6, 0.65, 0.7], val_accuracy=better)
    assert told(rises, ACCURACY) is None
    rises = course(train_loss=falls, val_loss=[0.9, 0.7, 0.5, 0.6, 0.65, 0.7])
    assert overfits(rises, ACCURACY, lowers_later=True) is None


def test_losses_that_stand_still_at_a_rate_that_is_not_lowered() -> None:
    at_rest = partial(stands_still, lowers_later=False)
    still = [1.0, 0.5, 0.5, 0.51, 0.5, 0.505, 0.5, 0.5]
    assert at_rest(course(train_loss=still, lr=[0.1] * 8), 2.3) is not None
    assert at_rest(course(train_loss=still, lr=[0.1] * 5 + [0.01] * 3), 2.3) is None
    assert at_rest(course(train_loss=still, lr=[0.1] * 8), 20.0) is None  # there is little left to learn
    assert at_rest(course(train_loss=[0.9**i for i in range(8)], lr=[0.1] * 8), 2.3) is None
    falls = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4]
    assert at_rest(course(train_loss=still, val_loss=falls, lr=[0.1] * 8), 2.3) is None
    assert stands_still(course(train_loss=still, lr=[0.1] * 8), 2.3, lowers_later=True) is None


def test_a_cached_stage_that_has_all_images_right() -> None:
    known = course(train_accuracy=[0.9, 0.95] + [1.0] * 10)
    assert all_known(known) is not None
    assert all_known(course(train_accuracy=[0.9, 0.95] + [1.0] * 9 + [0.99])) is None
    known.cached = False
    assert all_known(known) is None


def test_a_loss_that_shoots_up_and_one_that_is_noisy() -> None:
    assert shot_up(losses(*[2.3] * 10, *[0.5] * 20, *[1.0] * 10)) is None  # by less than half of the first
    assert shot_up(losses(*[2.3] * 10, *[0.5] * 20, *[3.0] * 10)) is not None
    assert shot_up(losses(*[2.3] * 10, *[0.5] * 20, *[0.5] * 8, 90.0, 90.0)) is None  # two batches of ten
    assert shot_up(losses(2.3, *[50.0] * 9)) is not None  # from the first step on
    begins_anew = losses(*[0.7] * 10, *[0.1] * 20)
    begins_anew.begin_stage()
    for _ in range(10):
        begins_anew.add(0.8)
    assert shot_up(begins_anew) is None


def test_a_loss_below_zero_is_measured_from_what_it_can_fall_to() -> None:
    fallen = (-0.01, *[-0.3] * 9, *[-0.716] * 10)  # SimSiam's, which ends at -1
    assert shot_up(losses(*fallen, *[-0.681] * 10)) is None  # of a module that does not say what it can fall to
    assert shot_up(losses(*fallen, *[-0.681] * 10), floor=-1) is None
    assert shot_up(losses(*fallen, *[-0.2] * 10), floor=-1) is not None
    assert crawls(losses(*[-0.005] * 150), 0.1, floor=-1) is not None
    assert crawls(losses(0.001, *[-0.3] * 150), 0.1, floor=-1) is None


def test_a_loss_that_hardly_falls() -> None:
    assert crawls(losses(*[2.3] * 150), 0.1) is not None
    assert crawls(losses(*[2.3] * 90), 0.1) is None
    assert crawls(losses(*(2.3 - 0.01 * i for i in range(150))), 0.1) is None
    assert crawls(losses(2.3, *[1.5] * 150), 0.1) is None  # has learnt something, and stands still


@pytest.mark.parametrize("steps", [599, 600, 601, 5000])
def test_means_of_any_number_of_steps_are_few_and_right(steps: int) -> None:
    of = losses(*map(float, range(steps)))
    assert len(of.means) < 60
    size = 10 * of._size
    assert of.means == [i * size + (size - 1) / 2 for i in range(len(of.means))]
    again = StepLosses()
    again.load_state_dict(of.state_dict())
    for one, loss in itertools.product((of, again), (1.0, 2.0, 3.0)):
        one.add(loss)
    assert vars(again) == vars(of)


def test_layers_that_are_dead_or_explode() -> None:
    fine, dead = LayerOutput("a", 3.0, 0.3), LayerOutput("b", 0.0, 0.95)
    assert dead_layer([fine]) is None
    assert (found := dead_layer([fine, dead])) is not None
    assert found.what == "Layer b is dead"
    grown = [LayerOutput("a", 5e4), LayerOutput("b", 9e4)]
    assert exploding_layer(grown, {"a": 4e4, "b": 10.0}).what == "The outputs of layer b explode"  # type: ignore[union-attr]
    assert exploding_layer(grown, {}) is None


def test_a_class_counts_as_never_predicted_after_several_validations() -> None:
    seen = NeverPredicted()
    for _ in range(3):
        seen.add([50, 0, 0, 10], [30, 20, 2, 8])
    assert never_predicted(seen, None, over=False) is None
    assert (found := never_predicted(seen, ["cat", "dog", "owl", "rat"], over=True)) is not None
    assert found.what == "Class 'dog' is never predicted"  # of the owl's two images nothing is said
    seen.add([49, 1, 0, 10], [30, 20, 2, 8])
    assert never_predicted(seen, None, over=True) is None


@pytest.mark.parametrize(("waited", "worked", "said"), [(25, 5, True), (25, 30, False), (5, 1, False)])
def test_waiting_is_told_where_it_is_long_and_most_of_the_time(waited: float, worked: float, said: bool) -> None:
    assert (waits_for_images(waited, worked, 2) is not None) == said
    assert waits_for_images(0.0, math.inf, None) is None
