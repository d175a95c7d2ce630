"""The moving average against a loop by hand, through stages and checkpoints, and in what validation sees."""

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes import EMA, BestCheckpoint, EarlyStopping, EnsembleClassifier, ImageClassifier, UserError
from lightning_recipes.callbacks.ema import decay_at
from lightning_recipes.modules.tta import MultiViewClassifier
from tests.small import QUIET, classifier, digits, fit, two_stages


class ByHand(pl.Callback):
    """Averages the whole state tensor by tensor, as the formula says."""

    def __init__(self, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.average: dict[str, Tensor] = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.average = {name: t.clone() for name, t in pl_module.state_dict().items()}

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        d = decay_at(self.updates, decay=self.decay)
        for name, value in pl_module.state_dict().items():
            old = self.average[name]
            self.average[name] = d * old + (1 - d) * value if value.is_floating_point() else value.clone()
        self.updates += 1


def test_the_average_is_the_formulas_also_where_layers_are_unfrozen_on_the_way() -> None:
    model, by_hand = classifier(), ByHand(0.9)
    fit(model, digits(), two_stages(), by_hand, EMA(0.9, 1), max_epochs=-1)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, by_hand.average[name], rtol=1e-5, atol=1e-6)


def test_frozen_layers_are_the_same_in_both_to_the_bit() -> None:
    model = classifier()
    before = {name: t.clone() for name, t in model.backbone.state_dict().items()}
    first = two_stages().plan.stages[:1]
    fit(model, digits(), two_stages().__class__(list(first)), EMA(0.9, 1), max_epochs=-1)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_update_of_several_steps_decays_by_as_many() -> None:
    class Still(pl.Callback):
        """The weights stay at one from the start, where the average is at zero."""

        @override
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            with torch.no_grad():
                for parameter in pl_module.parameters():
                    parameter.fill_(1.0)
            assert isinstance(pl_module, ImageClassifier)
            assert pl_module.additions.averaged is not None
            for value in pl_module.additions.averaged.tensors.values():
                value.zero_()

    ends = []
    for every in (1, 2, 4):
        model = classifier(lr=0.0, weight_decay=0.0)
        fit(model, digits(), EMA(0.05, every), Still(), max_epochs=2)  # below the warm-up's 0.1, so never warming
        ends.append(float(next(model.parameters()).detach().flatten()[0]))
    assert ends == pytest.approx([1 - 0.05**8] * 3, rel=1e-6)


def test_the_decay_warms_up_to_what_is_asked_for() -> None:
    assert [decay_at(n, decay=0.999) for n in (0, 8)] == [0.1, 0.5]
    assert decay_at(10**6, decay=0.999) == 0.999


class Judged(pl.Callback):
    """What the weights are inside and after each validation."""

    def __init__(self) -> None:
        self.inside: list[Tensor] = []
        self.after: list[Tensor] = []

    @override
    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.inside.append(next(pl_module.parameters()).detach().clone())

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.after.append(next(pl_module.parameters()).detach().clone())


@pytest.mark.parametrize("validate", ["average", "raw", "both"])
def test_validation_sees_what_was_asked_for_and_training_goes_on_raw(validate: Any) -> None:
    plain, averaged, model = Judged(), Judged(), classifier()
    fit(classifier(), digits(), plain, max_epochs=2)
    trainer, _ = fit(model, digits(), averaged, EMA(0.9, 1, validate=validate), max_epochs=2)
    assert all(torch.equal(a, b) for a, b in zip(plain.after, averaged.after, strict=True))
    same = [torch.equal(a, b) for a, b in zip(plain.inside, averaged.inside, strict=True)]
    assert all(same) if validate == "raw" else not any(same)
    final = next(model.parameters())
    assert torch.equal(final, plain.after[-1]) == (validate == "raw")
    assert ("val_accuracy_raw" in trainer.callback_metrics) == (validate == "both")


def test_both_reports_the_raw_weights_figures_as_a_run_without_an_average_has_them() -> None:
    plain, _ = fit(classifier(), digits(), max_epochs=2)
    both, _ = fit(classifier(), digits(), EMA(0.9, 1, validate="both"), max_epochs=2)
    for name in ("val_loss", "val_accuracy"):
        torch.testing.assert_close(both.callback_metrics[f"{name}_raw"], plain.callback_metrics[name])
    assert both.callback_metrics["val_loss"] != plain.callback_metrics["val_loss"]


@pytest.mark.parametrize("validate", ["average", "raw"])
def test_a_checkpoint_holds_both_and_says_which_is_which(validate: Any, tmp_path: Path) -> None:
    saved: dict[str, Any] = {}

    class Save(pl.Callback):
        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / "whole.ckpt")
            trainer.save_checkpoint(tmp_path / "weights.ckpt", weights_only=True)
            saved["raw"] = next(pl_module.parameters()).detach().clone()

    model = classifier()
    fit(model, digits(), EMA(0.9, 1, validate=validate), Save(), max_epochs=1)
    name = next(name for name, _ in model.named_parameters())
    whole = torch.load(tmp_path / "whole.ckpt", weights_only=True)
    weights = torch.load(tmp_path / "weights.ckpt", weights_only=True)
    final = next(model.parameters())
    assert whole["ema"]["state_dict_is"] == validate
    assert torch.equal(whole["state_dict"][name], final)
    assert torch.equal(weights["state_dict"][name], final)  # what validation judged
    other = whole["ema"]["raw" if validate == "average" else "average"][name]
    assert torch.equal(other, saved["raw"]) == (validate == "average")
    again = ImageClassifier.load_from_checkpoint(tmp_path / "whole.ckpt")
    assert torch.equal(next(again.parameters()), final)


def test_an_error_in_a_validation_leaves_the_trained_weights_in_the_module() -> None:
    class Fail(pl.Callback):
        @override
        def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
            raise RuntimeError("on purpose")

    plain, model = Judged(), classifier()
    fit(classifier(), digits(), plain, max_epochs=1)
    with pytest.raises(RuntimeError, match="on purpose"):
        fit(model, digits(), EMA(0.9, 1), Fail(), max_epochs=1)
    assert torch.equal(next(model.parameters()), plain.after[0])


def test_the_best_checkpoint_and_restored_weights_are_those_that_were_judged(tmp_path: Path) -> None:
    model, stop = classifier(lr=100.0), EarlyStopping("val_loss", patience=0)  # a rate at which it soon gets worse
    best = BestCheckpoint("val_loss", "min", dirpath=str(tmp_path))
    trainer, _ = fit(model, digits(), EMA(0.9, 1), stop, best, max_epochs=8, enable_checkpointing=True)
    assert trainer.current_epoch < 8
    saved = torch.load(tmp_path / "best.ckpt", weights_only=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, saved["state_dict"][name]), name


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"decay": 1.0}, r"EMA\.decay: 1\.0"),
        ({"decay": float("nan")}, r"EMA\.decay: nan"),
        ({"every_n_steps": 0}, r"EMA\.every_n_steps: 0"),
        ({"validate": "all"}, r"EMA\.validate: all"),
    ],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        EMA(**arguments)


def test_weights_that_are_put_back_are_the_average_too() -> None:
    class Back(pl.Callback):
        first: dict[str, torch.Tensor]

        @override
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.first = copy.deepcopy(pl_module.state_dict())

        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                assert isinstance(pl_module, ImageClassifier)
                pl_module.replace_weights(self.first)

    back, model = Back(), classifier()
    fit(model, digits(), EMA(0.9, 1), back, max_epochs=2)
    for name, value in model.state_dict().items():
        if not name.startswith(("train_", "val_")):
            assert torch.equal(value, back.first[name]), name


@pytest.mark.parametrize("of", ["views", "ensemble"])
def test_a_finished_model_is_validated_beside_it(of: str) -> None:
    model = classifier()
    finished = MultiViewClassifier(model, "flip") if of == "views" else EnsembleClassifier([model])
    trainer = pl.Trainer(**QUIET, callbacks=[EMA(0.9)])
    assert trainer.validate(finished, datamodule=digits(), verbose=False)
