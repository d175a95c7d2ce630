"""Plateaus: the rule against torch's, and each action in a fit, also after a resume."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from lightning_recipes.callbacks.on_plateau import OnPlateau
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.errors import UserError
from lightning_recipes.optim.plateau import PlateauDetector
from lightning_recipes.stages.plan import Stage
from tests.small import KeepEvery, classifier, digits, fit


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("patience", "cooldown", "min_delta"), [(0, 0, 0.0), (2, 0, 0.1), (1, 3, 0.05), (3, 1, 1e-4)])
def test_the_rule_is_torchs(mode: Any, patience: int, cooldown: int, min_delta: float) -> None:
    figures = torch.rand(200, generator=torch.Generator().manual_seed(0)).cumsum(0).sin().add(2).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = ReduceLROnPlateau(optimizer, mode, 0.5, patience, min_delta, "rel", cooldown, eps=0.0)
    ours, rate = PlateauDetector(mode, patience, min_delta, cooldown), 1.0
    for figure in figures:
        theirs.step(figure)
        rate *= 0.5 if ours.update(figure) else 1.0
        assert rate == optimizer.param_groups[0]["lr"]
    assert rate < 1


class Figures(pl.Callback):
    """Puts made-up figures in the place of the real ones, and notes rates and stages."""

    def __init__(self, figures: list[float]) -> None:
        self.figures = figures
        self.seen: list[tuple[str, float]] = []

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, i: int) -> None:
        if i == 0:
            name = pl_module.timeline.plan.at(trainer.current_epoch).name  # type: ignore[union-attr, operator]
            self.seen.append((name, trainer.optimizers[0].param_groups[-1]["lr"]))

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.callback_metrics["made_up"] = torch.tensor(self.figures[trainer.current_epoch])


def test_there_may_be_several_and_each_goes_on_with_its_own_count(tmp_path: Path) -> None:
    def callbacks() -> list[OnPlateau]:
        return [OnPlateau(monitor="made_up", stages=["head"]), OnPlateau(monitor="made_up", stages=["all"])]

    first, second = callbacks(), callbacks()
    fit(
        classifier(),
        digits(),
        Figures([1.0] * 6),
        plan(),
        *first,
        KeepEvery(tmp_path, "s"),
        enable_checkpointing=True,
        max_epochs=-1,
    )
    last = max(tmp_path.glob("s-*.ckpt"))
    fit(classifier(), digits(), Figures([1.0] * 6), plan(), *second, max_epochs=-1, ckpt_path=last)
    assert [one.state_dict() for one in second] == [one.state_dict() for one in first]
    assert first[0].state_dict() != first[1].state_dict()


def plan(schedule: str = "constant") -> Stages:
    return Stages(
        [
            Stage("head", epochs=4, train="head", lr=0.01, schedule=schedule, cache_features=True),
            Stage("all", epochs=2, lr=0.001, schedule="constant"),
        ]
    )


def run(action: Any, figures: list[float], *, schedule: str = "constant", **options: Any) -> Figures:
    watch = Figures(figures)
    callback = OnPlateau(action, monitor="made_up", patience=0, factor=0.5)
    # `callback_metrics` is filled anew at each access: the made-up figure lives on in it under a name of its own.
    fit(classifier(), digits(), plan(schedule), watch, callback, max_epochs=-1, **options)
    return watch


def test_reduce_halves_the_rates_of_the_stage_and_the_next_stage_has_its_own() -> None:
    watch = run("reduce", [3, 3, 2, 2, 1, 1])
    assert watch.seen == [
        ("head", 0.01), ("head", 0.01), ("head", 0.005), ("head", 0.005), ("all", 0.001), ("all", 0.001)
    ]  # fmt: skip


def test_end_stage_lets_the_next_one_begin_and_the_run_end_sooner() -> None:
    watch = run("end_stage", [3, 3, 2, 2, 2, 2])
    assert [name for name, _ in watch.seen] == ["head", "head", "all", "all"]
    assert watch.seen[2] == ("all", 0.001)


def test_restart_begins_the_schedule_anew_over_what_is_left() -> None:
    watch = run("restart", [3, 3, 2, 1, 1, 0], schedule="cosine")
    rates = [rate for name, rate in watch.seen if name == "head"]
    assert rates[0] == rates[2] == 0.01  # the top again
    assert rates[1] == pytest.approx(0.01 * (1 + 2**-0.5) / 2)  # a quarter of four epochs
    assert rates[3] == pytest.approx(0.005)  # half of the two that are left


@pytest.mark.parametrize(
    "steps",
    [pytest.param(slice(6, -1, 5), id="some"), pytest.param(slice(2, -1, 2), id="more", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "action", [*(pytest.param(one, marks=pytest.mark.slow) for one in ("reduce", "end_stage")), "restart"]
)
def test_each_action_is_resumed_to_the_bit(action: Any, steps: slice, tmp_path: Path) -> None:
    def run(name: str, ckpt_path: Path | None = None) -> str:
        callbacks = [
            plan("cosine"), Figures([3, 3, 2, 2, 1, 1]), OnPlateau(action, monitor="made_up", patience=0, factor=0.5)
        ]  # fmt: skip
        return fit(
            classifier(), digits(), *callbacks, KeepEvery(tmp_path, name), max_epochs=-1, ckpt_path=ckpt_path,
            enable_checkpointing=True,
        )[1]  # fmt: skip

    whole = run("whole")
    for path in sorted(tmp_path.glob("whole-*.ckpt"))[steps]:
        assert run("again", path) == whole, path.stem


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"action": "stop"}, "action: stop is not one of"),
        ({"factor": 1.0}, "factor: 1.0 is not a factor"),
        ({"patience": -1}, "patience: -1 is not a number"),
        ({"min_delta": float("nan")}, "min_delta: nan is not a share"),
        ({"mode": "low"}, "mode: low is not min or max"),
        ({"min_lr": -1.0}, "min_lr: -1.0 is not a learning rate"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=f"OnPlateau.{text}"):
        OnPlateau(**values)


def test_a_figure_that_is_not_logged_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"monitor: 'val_los' is not logged; there are .*val_loss"):
        fit(classifier(), digits(), OnPlateau(monitor="val_los"), max_epochs=1)


def test_without_stages_the_rates_can_be_lowered_but_no_stage_ended() -> None:
    fit(classifier(schedule="constant"), digits(), OnPlateau(patience=0, mode="max", min_delta=9.0), max_epochs=2)
    with pytest.raises(UserError, match="add the Stages callback"):
        fit(classifier(), digits(), OnPlateau("end_stage", patience=0, min_delta=0.9), max_epochs=3)


def test_epochs_without_a_validation_are_no_epochs_without_improvement() -> None:
    class Validated(pl.Callback):
        @override
        def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            pl_module.log("judged", {1: 3.0, 3: 2.0, 5: 2.0}[trainer.current_epoch])

    model, watch = classifier(lr=0.01, schedule="constant"), Figures([0.0] * 8)
    callback = OnPlateau("reduce", monitor="judged", patience=0, factor=0.5)
    callbacks = [Stages([Stage("all", epochs=7, lr=0.01, schedule="constant")]), Validated(), watch, callback]
    fit(model, digits(), *callbacks, max_epochs=-1, check_val_every_n_epoch=2)
    assert [rate for _, rate in watch.seen] == [0.01] * 6 + [0.005]
