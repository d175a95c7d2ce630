"""What is chosen, from what was measured."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lightning_recipes.suggest.choices import Suggestion
from lightning_recipes.suggest.rules import best_size, suggest
from tests.suggest.measurements import COSTS, FACTS, measured, probe


def chosen(suggestion: Suggestion) -> dict[str, Any]:
    return {one.key: one.value for one in suggestion.choices}


def stages(suggestion: Suggestion) -> dict[str, Mapping[str, Any]]:
    return {str(stage["name"]): stage for stage, _ in suggestion.stages}


@pytest.mark.parametrize("minutes", [2, 5, 15, 60])
@pytest.mark.parametrize("train_images", [60, 1000, 40_000])
def test_the_time_that_is_asked_for_is_used_and_not_overdrawn(minutes: int, train_images: int) -> None:
    facts = replace(FACTS, train_images=train_images, class_counts=(train_images // 10,) * 10)
    length = suggest(measured(facts=facts, seconds=60.0 * minutes)).length
    assert length.seconds / 60 / minutes <= 1.05
    assert length.enough or length.seconds / 60 / minutes >= 0.85


@pytest.mark.parametrize(("train_images", "steps"), [(60, 1000), (960, 1000), (3200, 2000)])
def test_minutes_that_would_win_nothing_are_left_and_it_is_said(train_images: int, steps: int) -> None:
    facts = replace(FACTS, train_images=train_images, class_counts=(train_images // 10,) * 10)
    suggestion = suggest(measured(facts=facts, seconds=36_000.0))
    assert suggestion.length.steps == pytest.approx(steps, rel=0.02)
    assert f"It takes {suggestion.length.seconds / 60:.1f} of the 600 minutes" in suggestion.outlook
    assert "though there is time for more" in suggestion.stages[1][1]
    assert "nothing" not in suggest(measured(facts=facts, seconds=300.0)).outlook


def test_of_more_images_than_can_be_read_some_are_trained_on() -> None:
    many = replace(FACTS, train_images=40_000, class_counts=(4000,) * 10)
    short, long = (chosen(suggest(measured(facts=many, seconds=seconds))) for seconds in (300.0, 36_000.0))
    assert 400 < short["data.images_per_class"] < 700  # at 10 ms an image, a fifth of five minutes reads 6,000
    assert short["trainer.limit_train_batches"] >= 8
    assert "data.images_per_class" not in long


@pytest.mark.parametrize(("smallest", "cut"), [(400, 400), (20, None)])
def test_never_more_images_a_class_than_the_smallest_has(smallest: int, cut: int | None) -> None:
    facts = replace(FACTS, train_images=36_000 + smallest, class_counts=(4000,) * 9 + (smallest,))
    assert chosen(suggest(measured(facts=facts, seconds=300.0))).get("data.images_per_class") == cut


def test_the_head_comes_first_and_all_layers_get_the_time_that_is_left() -> None:
    short, long = (stages(suggest(measured(seconds=seconds))) for seconds in (300.0, 900.0))
    assert list(short) == list(long) == ["head", "all"]
    assert short["head"] == long["head"]
    assert short["head"]["cache_features"] is True
    assert 2.5 < long["all"]["epochs"] / short["all"]["epochs"] < 4.5  # what is not training takes a share of the short


def test_few_steps_are_taken_at_a_lower_rate() -> None:
    short, long = (suggest(measured(seconds=seconds)) for seconds in (240.0, 900.0))
    assert short.length.steps < 300 < long.length.steps
    assert stages(long)["all"]["lr"] == 1e-3
    assert stages(short)["all"]["lr"] == pytest.approx(1e-3 * short.length.steps / 300, rel=0.05)


def test_where_there_is_no_time_for_all_layers_the_head_alone_is_trained_and_it_is_said() -> None:
    suggestion = suggest(measured(seconds=20.0))
    assert list(stages(suggestion)) == ["head"]
    assert suggestion.length.steps == 0
    assert "Start, features and head alone take longer than 0.333333 minutes" in suggestion.outlook


def test_a_head_on_many_images_is_not_trained_for_minutes() -> None:
    few, many = (
        stages(
            suggest(
                measured(facts=replace(FACTS, train_images=images, class_counts=(images // 8,) * 8), seconds=36_000.0)
            )
        )["head"]["epochs"]
        for images in (200, 32 * 200)
    )
    assert (few, many) == (20, 2)


def test_a_larger_size_is_taken_where_its_features_carry_further_and_there_is_time_for_it() -> None:
    small, better = probe(correct=300), probe(size=224, correct=380, seconds_an_image=0.03)
    assert best_size([better, small], FACTS, 900.0).size == 224
    assert best_size([small, probe(size=224, correct=302, seconds_an_image=0.03)], FACTS, 120.0).size == 128
    assert best_size([probe(size=224), probe()], FACTS, 900.0).size == 128  # no better, so no dearer


@pytest.mark.parametrize(("gain", "flip"), [((-0.3, 0.05), False), ((-0.01, 0.02), True), ((-0.06, 0.08), True)])
def test_images_are_not_mirrored_where_left_and_right_matter(gain: tuple[float, float], flip: bool) -> None:
    augment = chosen(suggest(measured(probes=(probe(mirrored_gain=gain),))))["data.augment"]
    assert augment == ("light" if flip else {"name": "light", "flip": False})


@pytest.mark.parametrize(
    ("seconds", "batch_size"),
    [
        ({16: 0.7, 32: 1.2, 64: 2.4}, 32),  # a processor: no batch is quicker an image
        ({16: 0.05, 32: 0.05, 64: 0.06}, 64),  # an accelerator with time to spare
        ({16: 0.5}, 16),  # 40 images
    ],
)
def test_a_larger_batch_is_taken_where_it_is_quicker_an_image(seconds: dict[int, float], batch_size: int) -> None:
    assert chosen(suggest(measured(costs=replace(COSTS, all_layers=seconds))))["data.batch_size"] == batch_size


def test_every_choice_and_every_stage_has_a_reason_with_a_number() -> None:
    two_sizes = (probe(), probe(size=224, seconds_an_image=0.03))
    suggestion = suggest(measured(probes=two_sizes, others={"resnet50": probe(seconds_an_image=0.05)}))
    reasons = [one.reason for one in suggestion.choices] + [why for _, why in suggestion.stages]
    assert all(any(letter.isdigit() for letter in reason) for reason in reasons)
    assert "90.0 % [86.7..92.6] at 224 px, which takes 3.0 times as long an image" in reasons[1]
    assert "resnet50 90.0 % [86.7..92.6] in 5.0 times the time" in reasons[0]


@pytest.mark.parametrize(("largest", "balanced"), [(70, False), (400, True)])
def test_classes_of_very_different_sizes_are_drawn_equally_often(largest: int, balanced: bool) -> None:
    facts = replace(FACTS, class_counts=(10, largest))
    assert ("data.balance" in chosen(suggest(measured(facts=facts)))) == balanced


def test_validations_do_not_take_the_time_of_training() -> None:
    few_images = replace(FACTS, train_images=64, class_counts=(8,) * 8)
    every = chosen(suggest(measured(facts=few_images, seconds=900.0)))["trainer.check_val_every_n_epoch"]
    epochs = stages(suggest(measured(facts=few_images, seconds=900.0)))["all"]["epochs"]
    assert 10 <= epochs / every <= 20
    assert epochs % every == 20 % every == 0  # both stages end with one


def test_more_minutes_are_not_promised_to_bring_what_is_not_there() -> None:
    perfect, poor = probe(correct=399), probe(correct=160)
    assert "less than half a point" in suggest(measured(probes=(perfect,))).outlook
    assert "points" in suggest(measured(probes=(poor,), seconds=240.0)).outlook
