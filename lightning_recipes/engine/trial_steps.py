"""Training steps that leave no trace: whatever they change is put back to the bit."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import Metric

from lightning_recipes.compat.lightning import gradient_scaler, wrap_again
from lightning_recipes.engine.forward import on_device
from lightning_recipes.modules.keyed_steps import KeyedSteps
from lightning_recipes.optim.own_state import untouched_optimizer

__all__ = ["no_trace", "once_more", "rehearse_loss", "rehearse_step"]


@contextmanager
def no_trace(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[Optimizer]:
    """Put back what training steps inside change: weights, buffers, gradients, optimizer, scaler, metrics, randomness.

    Nothing is logged inside, and ``module.trial_key`` is what random draws are a function of; callbacks that count what
    they see ask :func:`~lightning_recipes.modules.keyed_steps.is_trial`.

    Args:
        trainer: Of a fit that has begun.
        module: Whose training steps are keyed.

    Yields:
        The optimizer, with a copy of what it remembers.
    """
    optimizer = module.optimizers(use_pl_optimizer=False)
    assert isinstance(optimizer, Optimizer)
    assert isinstance(module, KeyedSteps)
    tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
    values, gradients = [t.detach().clone() for t in tensors], [p.grad for p in module.parameters()]
    scaler = gradient_scaler(trainer)
    scale = None if scaler is None else copy.deepcopy(scaler.state_dict())
    try:
        with _nothing_counted(module), untouched_optimizer(optimizer):
            module.trial_key = ("trial", trainer.current_epoch)
            yield optimizer
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        for parameter, gradient in zip(module.parameters(), gradients, strict=True):
            parameter.grad = gradient
        if scaler is not None:
            scaler.load_state_dict(scale)
        wrap_again(trainer.strategy)  # DDP orders its buckets after the first step it sees


@contextmanager
def once_more(module: pl.LightningModule) -> Iterator[None]:
    """Take a training step inside once more, in the midst of the same one, which goes on as if nothing had been.

    Statistics and metrics inside are copies: what the step's gradient is still to be computed of is not touched.
    Nothing is logged, and nothing must be learnt.

    Args:
        module: Whose training steps are keyed.
    """
    assert isinstance(module, KeyedSteps)
    buffers = dict(module.named_buffers())
    try:
        for path, buffer in buffers.items():
            _replace(module, path, buffer.clone())
        with _nothing_counted(module):
            yield
    finally:
        for path, buffer in buffers.items():
            _replace(module, path, buffer)


@contextmanager
def _nothing_counted(module: KeyedSteps) -> Iterator[None]:
    """Have steps inside count in copies of the metrics, log nothing, and leave the generators as they were."""
    metrics = [(path, part) for path, part in module.named_modules() if isinstance(part, Metric)]
    try:
        for path, metric in metrics:
            _replace(module, path, copy.deepcopy(metric))
        module.log = _log_nothing  # type: ignore[method-assign]
        with isolate_rng():
            yield
    finally:
        del module.log
        module.trial_key = None
        for path, metric in metrics:
            _replace(module, path, metric)


def rehearse_step(
    trainer: pl.Trainer, optimizer: Optimizer, batches: Sequence[Any], *, key: tuple[str | int, ...]
) -> None:
    """Take one optimizer step, as the trainer would.

    Precision, gradient clipping and whatever else acts before an optimizer step act here too.

    Args:
        trainer: Whose strategy and precision are used.
        optimizer: That of :func:`no_trace`.
        batches: As they come from the loader; several of them are accumulated.
        key: Of the step: every random draw in it is a function of the key, whoever draws.
    """
    strategy = trainer.strategy
    trainer.lightning_module.trial_key = key  # type: ignore[assignment]

    def closure() -> Any:
        optimizer.zero_grad()
        loss: Any = None
        for number, batch in enumerate(batches):
            waits = isinstance(strategy, ParallelStrategy) and number < len(batches) - 1
            with strategy.block_backward_sync() if waits else nullcontext():  # type: ignore[attr-defined]
                loss = _training_loss(trainer, batch, number) / len(batches)
                strategy.backward(loss, None)
        return loss

    strategy.optimizer_step(optimizer, closure)


@torch.no_grad()
def rehearse_loss(trainer: pl.Trainer, batches: Sequence[Any], *, key: tuple[str | int, ...]) -> float:
    """Return the training loss of batches, the mean over them and over all processes, without a step.

    Args:
        trainer: Whose strategy and precision are used.
        batches: As they come from the loader.
        key: Every random draw is a function of it; with the same key the same.
    """
    trainer.lightning_module.trial_key = key  # type: ignore[assignment]
    losses = torch.stack([_training_loss(trainer, batch, number) for number, batch in enumerate(batches)])
    return float(trainer.strategy.reduce((losses / len(batches)).sum(), reduce_op="mean"))


def _training_loss(trainer: pl.Trainer, batch: Any, number: int) -> Tensor:
    output: Any = trainer.strategy.training_step(on_device(trainer, batch), number)
    loss: Tensor = output["loss"] if isinstance(output, Mapping) else output
    return loss


def _replace(module: torch.nn.Module, path: str, child: torch.nn.Module | Tensor) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, child)


def _log_nothing(*args: Any, **kwargs: Any) -> None:
    """Take the place of ``LightningModule.log``."""
