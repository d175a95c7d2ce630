"""curves.png: what training is measured on comes from the data module and the plan."""

from lightning_recipes.callbacks.recording.run_figures import measured
from lightning_recipes.stages.plan import Plan, Stage
from tests.small import digits

PLAN = Plan(
    (
        Stage("cached", epochs=1, train="head", cache_features=True),
        Stage("as the data say", epochs=1),
        Stage("plain", epochs=1, augment="none"),
    )
)


def test_each_stage_says_what_its_training_is_measured_on() -> None:
    assert measured(digits(augment="light"), PLAN) == {
        "cached": "cached features (no augmentation)",
        "as the data say": "augmented images",
        "plain": "images as they are",
    }
    assert measured(digits(augment="none"), PLAN)["as the data say"] == "images as they are"
    assert measured(None, PLAN) == {}  # a data module of somebody's own
