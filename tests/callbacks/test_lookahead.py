"""Lookahead against the paper's algorithm by hand and against timm's, and in what validation sees."""

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from timm.optim.lookahead import Lookahead as TimmLookahead
from torch import Tensor
from typing_extensions import override

from lightning_recipes import ImageClassifier, Lookahead, UserError
from tests.small import classifier, digits, fit, two_stages


class ByHand(pl.Callback):
    """Algorithm 1 of the paper, tensor by tensor, over a whole stage."""

    def __init__(self, k: int, alpha: float, power: float, steps: int) -> None:
        self.k, self.alpha, self.power, self.steps = k, alpha, power, steps
        self.slow: dict[str, Tensor] = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.slow = {name: t.clone() for name, t in pl_module.state_dict().items()}

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        step = trainer.global_step
        if step % self.k and not trainer.is_last_batch:
            return
        a = 1 - (1 - self.alpha) * (step / self.steps) ** self.power
        with torch.no_grad():
            for name, fast in pl_module.state_dict().items():
                if fast.is_floating_point():
                    self.slow[name] += a * (fast - self.slow[name])
                    fast.copy_(self.slow[name])


@pytest.mark.parametrize(("alpha", "power"), [(0.5, 0.0), (0.2, 3.0)])
def test_it_is_the_papers_algorithm(alpha: float, power: float) -> None:
    found, expected = classifier(), classifier()
    fit(found, digits(), Lookahead(3, alpha, power), max_epochs=3)
    fit(expected, digits(), ByHand(3, alpha, power, steps=12), max_epochs=3)
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name], rtol=1e-4, atol=1e-5)


class OfTimm(pl.Callback):
    """timm's update of the parameters after an epoch."""

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.first = {parameter: parameter.detach().clone() for parameter in pl_module.parameters()}

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        if trainer.is_last_batch:
            optimizer = trainer.optimizers[0]
            for parameter, value in self.first.items():
                optimizer.state[parameter]["lookahead_slow_buff"] = value
            TimmLookahead(optimizer, alpha=0.5).sync_lookahead()


def test_parameters_are_those_of_timms() -> None:
    found, expected = classifier(), classifier()
    fit(found, digits(), Lookahead(4, 0.5), max_epochs=1)
    fit(expected, digits(), OfTimm(), max_epochs=1)
    own = dict(expected.named_parameters())
    for name, value in found.named_parameters():
        torch.testing.assert_close(value, own[name], rtol=1e-4, atol=1e-5)


def test_an_alpha_of_one_changes_nothing() -> None:
    shas = [fit(classifier(), digits(), two_stages(), *more, max_epochs=-1)[1] for more in ([], [Lookahead(2, 1.0)])]
    assert shas[0] == shas[1]


def test_weights_that_early_stopping_brings_back_are_gone_on_from() -> None:
    class Restored(pl.Callback):
        matched: bool | None = None

        @override
        def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                assert isinstance(pl_module, ImageClassifier)
                pl_module.replace_weights({n: torch.zeros_like(t) for n, t in pl_module.state_dict().items()})

        @override
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
            if trainer.current_epoch == 1 and self.matched is None:
                slow = lookahead.slow
                assert slow is not None
                self.matched = all(float(t.abs().max()) == 0 for n, t in slow.items() if n.endswith("weight"))

    lookahead, seen = Lookahead(100, 0.1), Restored()
    fit(classifier(), digits(), seen, lookahead, max_epochs=2)
    assert seen.matched


@pytest.mark.parametrize("options", [{"max_epochs": 1, "val_check_interval": 0.5}, {"max_steps": 3}])
def test_what_is_judged_and_kept_are_the_slow_weights(options: dict[str, Any]) -> None:
    class Judged(pl.Callback):
        seen = 0

        @override
        def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self._compare(pl_module)

        @override
        def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self._compare(pl_module)

        def _compare(self, module: pl.LightningModule) -> None:
            assert lookahead.slow is not None
            own = module.state_dict()
            assert all(torch.equal(slow, own[name]) for name, slow in lookahead.slow.items())
            self.seen += 1

    lookahead, judged = Lookahead(100, 0.3), Judged()
    fit(classifier(), digits(), lookahead, judged, **options)
    assert judged.seen == (3 if "val_check_interval" in options else 1)


@pytest.mark.parametrize("bad", [{"every_n_steps": 0}, {"alpha": 0.0}, {"alpha": 1.5}, {"power": -1.0}])
def test_values_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"^Lookahead\.{next(iter(bad))}: "):
        Lookahead(**bad)
