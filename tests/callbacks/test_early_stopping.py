"""Early stopping: when it stops, what it stops, and which weights are left."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes import EarlyStopping, ImageClassifier, Stage, Stages, UserError
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from tests.small import classifier, digits, fit


class Say(pl.Callback):
    """Logs a figure that was settled beforehand, and keeps every epoch's weights."""

    def __init__(self, figures: list[float]) -> None:
        self.figures = figures
        self.weights: dict[int, dict[str, Tensor]] = {}

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("figure", self.figures[trainer.current_epoch])
        self.weights[trainer.current_epoch] = {n: t.clone() for n, t in pl_module.state_dict().items()}


def stages(*epochs: int) -> Stages:
    return Stages([Stage(f"s{i}", epochs=n, train="head" if i == 0 else "all", lr=1e-3) for i, n in enumerate(epochs)])


def stopping(**options: Any) -> EarlyStopping:
    return EarlyStopping("figure", **{"patience": 1, **options})


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_run_ends_after_so_many_epochs_without_improvement_with_the_best_ones_weights() -> None:
    say, model = Say([3.0, 2.0, 2.0, 2.5, 1.0, 0.5]), classifier()
    trainer, _ = fit(model, digits(), say, stopping(), max_epochs=6)
    assert trainer.current_epoch == 4
    assert same(say.weights[1], dict(model.state_dict()))


def test_without_restoring_the_last_weights_stay() -> None:
    say, model = Say([3.0, 2.0, 2.0, 2.5, 1.0]), classifier()
    fit(model, digits(), say, stopping(restore_best=False), max_epochs=5)
    assert same(say.weights[3], dict(model.state_dict()))


def test_a_run_that_is_not_cut_short_ends_with_its_best_weights_too() -> None:
    say, model = Say([3.0, 1.0, 2.0]), classifier()
    trainer, _ = fit(model, digits(), say, stopping(), max_epochs=3)
    assert trainer.current_epoch == 3
    assert same(say.weights[1], dict(model.state_dict()))


def test_a_stage_ends_and_the_next_begins_from_its_best_weights_and_is_watched_anew() -> None:
    figures = [1.0, 2.0, 2.0, 9.0, 8.0, 8.5, 8.5, 0.0]  # the first stage stops after the third epoch
    say, seen = Say(figures), {}

    class Begin(pl.Callback):
        @override
        def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            seen[trainer.current_epoch] = {n: t.clone() for n, t in pl_module.state_dict().items()}

    model = classifier()
    trainer, _ = fit(model, digits(), stages(5, 5), say, stopping(scope="stage"), Begin(), max_epochs=-1)
    assert trainer.current_epoch == 7
    assert same(say.weights[0], seen[3])
    assert same(say.weights[4], dict(model.state_dict()))


def test_the_whole_run_ends_where_that_is_asked_for_though_stages_would_follow() -> None:
    trainer, _ = fit(classifier(), digits(), stages(5, 5), Say([1.0, 2.0, 2.0]), stopping(scope="run"), max_epochs=-1)
    assert trainer.current_epoch == 3


@pytest.mark.parametrize("scope", ["run", "stage"])
def test_a_run_that_was_stopped_is_over_when_it_is_resumed(scope: Any, tmp_path: Path) -> None:
    class Save(pl.Callback):
        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")

    def train(**options: Any) -> tuple[pl.Trainer, str]:
        say, stop = Say([1.0, 2.0, 2.0, 2.0, 2.0]), stopping(scope=scope)
        return fit(classifier(), digits(), stages(5), say, stop, Save(), max_epochs=-1, **options)

    whole, sha = train()
    assert whole.current_epoch == 3
    for epoch in (0, 1):
        assert train(ckpt_path=tmp_path / f"{epoch}.ckpt")[1] == sha
    again, same_sha = train(ckpt_path=tmp_path / "2.ckpt")
    assert (again.current_epoch, same_sha) == (3, sha)


def test_what_cannot_work_is_named() -> None:
    with pytest.raises(UserError, match=r"EarlyStopping\.patience: -1"):
        EarlyStopping(patience=-1)
    with pytest.raises(UserError, match=r"EarlyStopping\.scope: epoch"):
        EarlyStopping(scope="epoch")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"EarlyStopping\.scope: stage needs the Stages callback"):
        fit(classifier(), digits(), EarlyStopping(scope="stage"), max_epochs=1)
    with pytest.raises(UserError, match=r"EarlyStopping\.monitor: 'val_acc' is not logged"):
        fit(classifier(), digits(), EarlyStopping("val_acc"), max_epochs=1)


class StopAt(pl.Callback):
    """Ends the run as Lightning's ``max_time`` does, after so many optimizer steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self.step


@pytest.mark.parametrize("scope", ["run", "stage"])
@pytest.mark.parametrize("end", ["max_steps", "within", "time"])
def test_the_best_weights_come_back_at_an_end_that_the_plan_did_not_foresee(
    end: str, scope: Any, tmp_path: Path
) -> None:
    last = LastCheckpoint(dirpath=str(tmp_path))
    steps = 12 if end == "max_steps" else 14

    def train(**options: Any) -> tuple[pl.Trainer, ImageClassifier, Say]:
        say, model = Say([3.0, 1.0, 2.0, 2.0]), classifier()
        more, limit = ([StopAt(steps)], -1) if end == "time" else ([], steps)
        callbacks = [stages(9), say, stopping(patience=9, scope=scope), last, *more]
        options |= {"max_epochs": -1, "max_steps": limit, "enable_checkpointing": True}
        trainer, _ = fit(model, digits(), *callbacks, **options)
        return trainer, model, say

    trainer, model, say = train()
    assert trainer.global_step == steps
    assert same(say.weights[1], dict(model.state_dict()))
    trained = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    assert not same(say.weights[1], trained)  # from there the run can go on to the bit
    if end != "time":  # the run is over: it is said so again, with the same weights
        again, model, _ = train(ckpt_path=tmp_path / "last.ckpt")
        assert again.global_step == steps
        assert same(say.weights[1], dict(model.state_dict()))


def test_an_end_within_a_stage_that_has_not_been_judged_does_not_bring_an_earlier_stage_back() -> None:
    say, model = Validated([1.0, 2.0, 3.0]), classifier()
    trainer, _ = fit(model, digits(), stages(2, 5), say, stopping(scope="stage"), max_epochs=-1, max_steps=10)
    assert trainer.global_step == 10
    assert same(say.last, dict(model.state_dict()))
    assert not same(say.weights[0], dict(model.state_dict()))


class Validated(pl.Callback):
    """Logs a settled figure in each validation, and keeps the weights of each one, and the last that were trained."""

    def __init__(self, figures: list[float]) -> None:
        self.figures = figures
        self.weights: list[dict[str, Tensor]] = []

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("figure", self.figures[len(self.weights)])
        self.weights.append({n: t.clone() for n, t in pl_module.state_dict().items()})

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.last = {n: t.clone() for n, t in pl_module.state_dict().items()}


def test_epochs_without_a_validation_are_no_epochs_without_improvement() -> None:
    say, model = Validated([3.0, 1.0, 1.0, 1.0, 0.0]), classifier()  # the same figure again is a new one
    trainer, _ = fit(model, digits(), say, stopping(), max_epochs=20, check_val_every_n_epoch=2)
    assert (trainer.current_epoch, len(say.weights)) == (8, 4)
    assert same(say.weights[1], dict(model.state_dict()))


def test_a_figure_that_no_validation_logs_is_refused_at_the_first_that_should() -> None:
    message = r"EarlyStopping\.monitor: 'val_los' is not logged; there are .*val_loss"
    with pytest.raises(UserError, match=message):
        fit(classifier(), digits(), EarlyStopping("val_los"), max_epochs=2, check_val_every_n_epoch=2)
    with pytest.raises(UserError, match=r"'val_loss' is not logged; there are train_accuracy"):
        fit(classifier(), digits(), EarlyStopping(), max_epochs=2, limit_val_batches=0)


def test_a_second_fit_knows_nothing_of_what_the_first_one_stopped() -> None:
    model = classifier()
    fit(model, digits(), Stages([Stage("all", epochs=4)]), EarlyStopping(patience=0, min_delta=0.9), max_epochs=-1)
    assert model.plan_changes
    fit(model, digits(), Stages([Stage("all", epochs=2)]), max_epochs=-1)
    assert model.plan_changes == []
