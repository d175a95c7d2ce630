"""Training steps whose random draws are a function of the step, whoever wrote it and whichever hook is overridden."""

import functools
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.compat.lightning import batch_under_way, trainer_of
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.randomness import seed_process

__all__ = ["KeyedSteps", "is_trial", "optimizer_step_key"]


class KeyedSteps(pl.LightningModule):
    """A module that is seeded for each training step right before its ``training_step``.

    Dropout, stochastic depth and whatever else draws from the global generators of torch, NumPy and Python inside the
    step are so a function of (seed, epoch, batch, rank) alone. The seeding is no hook: a subclass keeps it when it
    overrides ``on_train_batch_start``, or ``training_step`` itself, with or without ``super``. What draws outside of
    the step, in a hook of its own, takes a generator of its own
    (:func:`~lightning_recipes.randomness.generator_for`).

    Attributes:
        trial_key: The key of the step that is being tried and will leave no trace; None in training.
    """

    trial_key: StepKey | None = None
    _in_step = False

    @override
    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Seed before the training step that the class has, its own or one of another base."""
        super().__init_subclass__(**kwargs)
        if getattr(cls.training_step, "__code__", None) is not _CODE:
            cls.training_step = _keyed(cls.training_step)  # type: ignore[method-assign]

    def step_key(self, batch_idx: int) -> StepKey:
        """Return what the draws of a training step are a function of; for :mod:`lightning_recipes.randomness`.

        Args:
            batch_idx: As in ``training_step``. In a trial: the number of the batch among those of one optimizer step.
        """
        if self.trial_key is None:
            return ("step", self.current_epoch, batch_idx, self.global_rank)
        return (*self.trial_key, self.global_rank, *((batch_idx,) if batch_idx else ()))


def is_trial(module: pl.LightningModule) -> bool:
    """Tell whether a module takes steps that will leave no trace; callbacks that count steps leave them out."""
    return isinstance(module, KeyedSteps) and module.trial_key is not None


def optimizer_step_key(trainer: pl.Trainer, module: pl.LightningModule) -> StepKey:
    """Return what draws of an optimizer step are a function of: its number, or the key of a step that is a trial.

    The trainer counts no steps in a trial. The same on all ranks.
    """
    trial = module.trial_key if isinstance(module, KeyedSteps) else None
    return (trainer.global_step,) if trial is None else trial


def _keyed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the training step with the seeding before it; a step that calls another one is seeded once."""

    @functools.wraps(function)
    def training_step(self: KeyedSteps, *args: Any, **kwargs: Any) -> Any:
        if self._in_step or trainer_of(self) is None:
            return function(self, *args, **kwargs)
        batch_idx = kwargs["batch_idx"] if "batch_idx" in kwargs else args[1] if len(args) > 1 else None
        if not isinstance(batch_idx, int):  # a step may do without
            batch_idx = max(0, batch_under_way(self.trainer))
        _seed_process(*self.step_key(batch_idx))
        self._in_step = True
        try:
            return function(self, *args, **kwargs)
        finally:
            self._in_step = False

    return training_step


# Where the whole module is compiled, its training step is.
_seed_process = torch.compiler.disable(seed_process)  # type: ignore[no-untyped-call]
_CODE = _keyed(lambda: None).__code__
