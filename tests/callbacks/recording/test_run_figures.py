"""curves.png: what training is measured on comes from the data module and the plan."""

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.callbacks.recording.run_figures import measured, planned_run
from lightning_recipes.modules.protocols import require_staged
from lightning_recipes.stages.plan import Plan, Stage
from tests.small import classifier, digits, fit

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


def test_the_batch_of_the_schedule_is_what_an_optimizer_step_sees() -> None:
    found: set[float] = set()

    class Look(pl.Callback):
        @override
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            found.update(planned_run(trainer, require_staged(pl_module, "test")).batch_size)

    fit(classifier(), digits(), Look(), max_epochs=1, accumulate_grad_batches=2)
    assert found == {20}  # two batches of ten
