"""The trainer of a run: what its callbacks must and must not be, and its own errors under the key that they are of."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_recipes.callbacks.best_checkpoint import BestCheckpoint
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.early_stopping import EarlyStopping
from lightning_recipes.callbacks.recording.run_recorder import RunRecorder
from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.errors import UserError

__all__ = ["make_trainer", "refuse_callbacks_twice", "refuse_endless"]

TWICE = re.compile(r"more than one stateful callback of type `(?P<name>\w+)`")
KEYS_OF_THE_RUN = {BestCheckpoint: "best_checkpoint", LastCheckpoint: "last_checkpoint"}


def refuse_callbacks_twice(callbacks: Sequence[pl.Callback]) -> None:
    """Refuse two callbacks of which one would undo or double the other.

    Raises:
        UserError: Names the class.
    """
    for kind, key in KEYS_OF_THE_RUN.items():
        if any(isinstance(callback, kind) for callback in callbacks):
            raise UserError(f"trainer.callbacks: every run has a {kind.__name__}; set it by the key {key} instead")
    if any(isinstance(callback, RunRecorder) for callback in callbacks):
        raise UserError("trainer.callbacks: every run of the command line has a RunRecorder; leave it out")
    count = Counter(kind for callback in callbacks for kind in type(callback).__mro__ if _once(kind))
    for kind, times in count.items():
        if times > 1:
            raise UserError(f"trainer.callbacks: {kind.__name__} is there {times} times; keep one")


def _once(kind: type) -> bool:
    """Tell whether a class is a callback of ours that a run has once: those of ``one_a_stage`` may be several."""
    return kind.__module__.startswith("lightning_recipes.callbacks.") and not getattr(kind, "one_a_stage", False)


def refuse_endless(callbacks: Sequence[pl.Callback], trainer: Mapping[str, Any]) -> None:
    """Refuse a training that nothing ends; ``max_epochs: -1`` asks for one.

    Args:
        callbacks: Of the recipe.
        trainer: Arguments of the trainer.

    Raises:
        UserError: Says what to add.
    """
    limits = (trainer["max_epochs"], trainer["max_time"], trainer["fast_dev_run"] or None)
    ends = (Stages, LightningEarlyStopping, EarlyStopping, Timer)
    if trainer["max_steps"] not in (None, -1) or any(limit is not None for limit in limits):
        return
    if not any(isinstance(callback, ends) for callback in callbacks):
        raise UserError(
            "trainer.max_epochs: nothing says when the training ends; give it, such as --trainer.max_epochs 20, or "
            "Stages in trainer.callbacks (-1 trains until it is stopped)"
        )


def make_trainer(kind: Callable[..., pl.Trainer], options: Mapping[str, Any]) -> pl.Trainer:
    """Call the trainer's class; what it refuses is said under its key, and a precision that makes it slow is named.

    Raises:
        UserError: Lightning's own text, after the key that it speaks of.
    """
    try:
        trainer = kind(**options)
    except UserError:
        raise
    except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
        text = " ".join(str(error).split()).split(" Find a complete list")[0]
        raise UserError(f"{_key_of(text, options)}: {text}{_what_to_do(text)}") from error
    except RuntimeError as error:
        if twice := TWICE.search(str(error)):
            raise UserError(
                f"trainer.callbacks: {twice['name']} is there twice, and one can be saved; keep one"
            ) from error
        raise
    _warn_of_bfloat16_in_software(trainer)
    return trainer


def _warn_of_bfloat16_in_software(trainer: pl.Trainer) -> None:
    """A processor of AVX2 alone trained ``resnet10_cifar`` twelve times slower in bfloat16 than in float32."""
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if on_cpu and str(trainer.precision).startswith("bf16") and torch.backends.cpu.get_cpu_capability() == "AVX2":
        rank_zero_warn(
            f"trainer.precision: {trainer.precision} is done in software by this processor, which has no AVX-512; "
            "--trainer.precision 32-true is many times faster here"
        )


def _key_of(text: str, options: Mapping[str, Any]) -> str:
    """The option that an error of Lightning's speaks of: one between backticks or with its value, else the first."""
    if "backend found" in text:
        return "trainer.accelerator"
    for pattern in (r"`(?:Trainer\()?(\w+)", r"(\w+)=", r"(\w+)"):
        for name in re.findall(pattern, text):
            if name in options and name not in ("callbacks", "logger"):
                return f"trainer.{name}"
    return "trainer.max_time" if "Timer(" in text else "trainer"


def _what_to_do(text: str) -> str:
    return " This machine has none; give cpu or auto" if "backend found" in text else ""
