"""The diagnosis of figures whose meaning is known: each case has its own words, and none beyond its interval."""

import math
from typing import Any

import pytest

from lightning_recipes.evaluation.diagnosis import diagnose, images_for
from lightning_recipes.evaluation.divergence import diverged_at_epoch
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.outcome import Outcome


def outcome(correct: int, train_correct: int = 0, *, images: int = 1000, **more: Any) -> Outcome:
    known = {"train_correct": train_correct, "train_images": 1000 if train_correct else 0, "epochs": 9}
    balanced = {"classes": 10, "largest_class": images // 10, "predicted_classes": 10}
    return Outcome(correct=correct, images=images, **{**balanced, **known, **more})


def first_words(run: Outcome) -> str:
    return diagnose(run)[0].what


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (outcome(850, 990), "Variance is the larger part"),
        (outcome(750, 760), "Bias is the larger part"),
        (outcome(750, 830), "Bias is the larger part"),  # a gap that is shown, of half the training error
        (outcome(840, 915), "It does better on what it was trained on; whether"),
        (outcome(990, 994), "do not differ beyond their intervals"),
        (outcome(990, 950), "It does better on validation images"),
        (outcome(110, 112), "It is not shown to be better than chance"),
        (outcome(105, 990), "no better than chance on validation images: what it has learnt"),
        (outcome(100, 100, predicted_classes=1), "It says the same for all 1000 validation images"),
        # 97 % where one class is 98 % of the images
        (outcome(970, 975, largest_class=980), "It is not shown to be better than chance"),
    ],
)
def test_training_and_validation_counts_say_what_the_source_says(run: Outcome, words: str) -> None:
    assert words in first_words(run)
    for finding in diagnose(run):
        assert finding.number
        assert finding.advice
        assert any(sign.isdigit() for sign in finding.number)


def test_the_same_shares_of_few_images_are_no_finding() -> None:
    few = outcome(17, 20, images=20, train_images=20)  # 85 and 100 percent: shown to differ of 1,000 images
    said = diagnose(few)
    assert "do not differ beyond their intervals" in said[0].what
    assert said[-1].what.startswith("Too few validation images: 20 ")


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        ([2, 1.5, 1, 0.5], [1.0, 0.5, 0.6, 0.7], "It overfits"),
        ([2, 1.5, 1, 0.9], [1.0, 0.8, 0.6, 0.5], "still getting better"),
        ([2, 0.5, 0.8, 1.2], [1.0, 0.5, 0.7, 0.9], "that of training too: it is not stable"),
        ([2, 1.5, 1, 0.9], [1.0, 0.5, 0.51, 0.5], "Bias"),  # neither rose nor fell by a twentieth
        ([2, 1.5, 1, 0.9], [1.0, 0.51, 0.505, 0.5], "Bias"),
    ],
)
def test_losses_over_the_epochs(train: list[float], val: list[float], words: str) -> None:
    run = outcome(750, 760, train_losses=dict(enumerate(train)), val_losses=dict(enumerate(val)))
    assert words in first_words(run)


def test_a_change_of_the_loss_within_its_error_is_none() -> None:
    losses = {0: 1.0, 1: 0.5, 2: 0.56}
    assert "It overfits" in first_words(outcome(750, 760, val_losses=losses, loss_error=0.02))
    assert "It overfits" not in first_words(outcome(750, 760, val_losses=losses, loss_error=0.07))


def test_validations_are_counted_and_epochs_named() -> None:
    run = outcome(750, 760, val_losses={1: 1.0, 3: 0.5, 5: 0.7, 7: 0.8})  # every other epoch
    assert "validation 2 of 4, epoch 3" in diagnose(run)[0].number
    later = outcome(750, 760, val_losses={0: 1.0, 1: 0.5, 2: 0.7, 3: 0.8}, stage_starts=[0, 2])
    assert "lowest in an earlier stage: the stage from epoch 2 on has raised it" in first_words(later)


def test_a_run_that_diverged_says_when_and_nothing_of_bias() -> None:
    run = outcome(900, 990, train_losses={0: 2.3, 1: 1.1, 2: math.nan, 3: math.nan}, val_losses={0: 1.0, 1: 0.9})
    diverged, size = diagnose(run)
    assert diverged.what == "It diverged: the loss was not finite from epoch 2 on"
    assert "1.1 in epoch 1" in diverged.number
    assert "validation images" in size.what
    for losses, epoch in (({}, None), ({0: 1.0}, None), ({0: math.inf}, 0), ({0: math.nan, 1: 1.0}, None)):
        assert diverged_at_epoch(losses) == epoch
    assert diverged_at_epoch({0: 1.0, 1: 0.5, 2: 0.4}, {0: 1.0, 2: math.inf}) == 2
    passing = outcome(900, 990, train_losses={0: 2.3, 1: math.inf, 2: 1.0})
    assert "not finite for a while" in first_words(passing)


def test_a_run_that_was_cut_off_is_not_judged_as_a_whole_one() -> None:
    run = outcome(
        750, 760, epochs=7, planned_epochs=3000, stopped_by="max_time", val_losses=dict(enumerate([1.0, 0.8, 0.6, 0.5]))
    )
    ended, better, size = diagnose(run)
    assert "ended before its plan was, by max_time" in ended.what
    assert "7 of 3000 epochs" in ended.number
    assert "still getting better" in better.what
    assert "validation images" in size.what
    assert "Bias" in first_words(outcome(750, 760, epochs=7, planned_epochs=7))


@pytest.mark.parametrize(
    ("losses", "advice"),
    [([2.3, 2.299], "a higher learning rate"), ([2.3, 9.0], "a lower learning rate"), ([2.3, 2.0], "train longer")],
)
def test_advice_at_chance_follows_the_training_loss(losses: list[float], advice: str) -> None:
    assert diagnose(outcome(100, 100, train_losses=dict(enumerate(losses))))[0].advice.startswith(advice)


def test_labels_are_named_where_they_may_be_half_of_the_errors() -> None:
    assert "label_issues.csv" in diagnose(outcome(800, 800, doubtful_labels=150))[0].advice
    assert "label_issues.csv" not in diagnose(outcome(800, 800, doubtful_labels=50))[0].advice


def test_a_small_validation_set_is_said_to_be_one() -> None:
    small = diagnose(outcome(92, images=100))[-1]
    assert "do not tell accuracies apart that are within 10.9 %" in small.what
    assert "about 11,000 images" in small.advice
    assert "are enough to read whole percents" in diagnose(outcome(18400, images=20000))[-1].what
    low, high = wilson_interval(round(0.92 * 11310), 11310)
    assert (high - low) / 2 == pytest.approx(0.005, rel=0.01)
    assert images_for(0.01, 0.5) == math.ceil(1.959964**2 * 0.25 / 1e-4)


def test_a_perfect_run_a_single_image_and_a_foreign_data_module_are_diagnosed_too() -> None:
    assert diagnose(outcome(10, 10, images=10, train_images=10, val_losses={0: 0.1}))
    assert diagnose(outcome(1, 1, images=1, train_images=1, largest_class=1))
    assert not any("ias" in finding.what for finding in diagnose(outcome(900)))


def test_no_advice_contradicts_another() -> None:
    overfits = outcome(600, 650, train_losses={0: 2.0, 1: 1.0, 2: 0.1}, val_losses={0: 2.0, 1: 1.0, 2: 3.0})
    trend, at_its_best, _ = diagnose(overfits)
    assert "It overfits" in trend.what
    assert "it is not too small" in at_its_best.what
    assert not any("train longer" in f.advice or "larger or better" in f.advice for f in diagnose(overfits))
    falling = dict(enumerate([1.0, 0.8, 0.6, 0.5]))
    improving = diagnose(outcome(850, 1000, val_losses=falling))
    assert improving[0].advice == "train longer"
    assert not any("nothing left to learn" in finding.advice for finding in improving)
    assert "nothing left to learn" in diagnose(outcome(850, 1000))[0].advice


def test_a_network_at_random_that_beats_chance_has_hardly_learnt() -> None:
    still = outcome(190, 200, train_losses={0: 2.40, 1: 2.39, 2: 2.39})
    assert "It has hardly learnt" in first_words(still)
    assert "Bias" in first_words(outcome(190, 200, train_losses={0: 2.40, 1: 2.0, 2: 1.9}))
    assert "hardly" not in first_words(outcome(990, 995, train_losses={0: 0.02, 1: 0.02}))  # at its end already
