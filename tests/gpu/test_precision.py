"""On a GPU a fit is the CPU's, to the precision that was chosen; FP16 loses no step but those that overflow."""

import math
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from typing_extensions import override

from lightning_recipes import EMA, L1, GradientClipping, ImageClassifier, MaxNorm, MicroBatches, Mixing, StochasticDepth
from lightning_recipes.compat.lightning import gradient_scaler
from tests.callbacks.test_gradient_clipping import Norms
from tests.small import GPU, classifier, digits, fit, two_stages


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append(float(outputs["loss"]))


def trained(model: ImageClassifier, **options: Any) -> tuple[list[float], dict[str, float]]:
    """Loss of each step of a transfer of letters to digits, and the last validation."""
    losses = Losses()
    trainer, _ = fit(model, digits(augment="medium"), two_stages(), losses, max_epochs=-1, **options)
    return losses.seen, {name: float(value) for name, value in trainer.callback_metrics.items()}


def letters(**options: Any) -> ImageClassifier:
    return classifier(pretrained="embedded:letters", backbone_kwargs={}, **options)


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [("32-true", 2e-3), ("16-mixed", 0.03), ("bf16-mixed", 0.1), ("bf16-true", 0.2), ("64-true", 2e-3)],
)
def test_each_step_costs_what_it_costs_on_a_cpu(precision: Any, tolerance: float) -> None:
    expected, judged = trained(letters())
    # Lightning's own scaler begins so high that it leaves out the first steps.
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    fp16: dict[str, Any] = {"plugins": [MixedPrecision("16-mixed", "cuda", scaler)]}
    losses, found = trained(letters(), **(fp16 if precision == "16-mixed" else {"precision": precision}), **GPU)
    assert losses == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert found["val_loss"] == pytest.approx(judged["val_loss"], rel=2 * tolerance)


BOTH = {"channels_last": True, "compile": True}


@pytest.mark.parametrize(
    ("options", "deterministic"),
    [
        ({"channels_last": True}, True),
        ({"compile": True}, True),
        # torch 2.11's compiler expects other strides of the gradient of a convolution than cuDNN gives.
        pytest.param(BOTH, True, marks=pytest.mark.xfail(raises=AssertionError, strict=False)),
        pytest.param(BOTH, False, marks=pytest.mark.xfail(raises=AssertionError, strict=False)),
    ],
)
def test_another_memory_format_and_compiled_code_are_the_same_training(
    options: dict[str, Any], deterministic: bool
) -> None:
    expected, judged = trained(letters(), **GPU)
    losses, found = trained(letters(**options), deterministic=deterministic, **GPU)
    assert losses == pytest.approx(expected, rel=2e-3)
    assert found["val_loss"] == pytest.approx(judged["val_loss"], rel=4e-3)


class Scales(pl.Callback):
    """The scale of the loss after each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        scaler = gradient_scaler(trainer)
        assert scaler is not None
        self.seen.append(float(scaler.get_scale()))


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch, of a first step that is left out
def test_under_fp16_true_gradients_are_clipped_and_a_step_that_overflows_is_left_out() -> None:
    before, after, scales = Norms(), Norms(), Scales()
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**26)  # too much: the first steps overflow
    plugin = MixedPrecision("16-mixed", "cuda", scaler)
    callbacks = [before, GradientClipping("norm", 0.5), after, scales]
    trainer, _ = fit(classifier(), digits(), *callbacks, max_epochs=3, plugins=[plugin], **GPU)
    halved = [b < a for a, b in zip([2.0**26, *scales.seen[:-1]], scales.seen, strict=True)]
    assert halved[0]
    assert not halved[-1]
    finite = [math.isfinite(norm) for norm in before.total()]
    assert finite == [not step for step in halved]
    assert max(norm for norm, good in zip(before.total(), finite, strict=True) if good) < 100  # not times the scale
    assert max(norm for norm, good in zip(after.total(), finite, strict=True) if good) <= 0.5 * 1.001
    weights = torch.cat([p.detach().flatten() for p in trainer.lightning_module.parameters()])
    assert bool(torch.isfinite(weights).all())


class NoWaiting(pl.Callback):
    """Makes an error of everything that waits for the device, between the epoch's first step and its last."""

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 1:
            torch.cuda.set_sync_debug_mode("error")
        if batch_idx == trainer.num_training_batches - 1:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "callbacks",
    [
        [],
        [lambda: EMA(0.9, every_n_steps=1)],
        [lambda: GradientClipping("norm", 1.0)],
        [lambda: GradientClipping("adaptive", 0.01)],
        [Mixing],
        [L1],
        [lambda: MaxNorm(3.0)],
        [StochasticDepth],
        [lambda: MicroBatches(2, trial=False)],
    ],
)
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_step_waits_for_the_device(callbacks: list[Any]) -> None:
    made = [make() for make in callbacks]
    try:
        data = digits(augment="light", batch_size=5)
        fit(classifier(), data, *made, NoWaiting(), max_epochs=1, log_every_n_steps=1, **GPU)
    finally:
        torch.cuda.set_sync_debug_mode("default")
