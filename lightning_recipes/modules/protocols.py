"""What callbacks ask of the module that they are used with."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor, nn
from typing_extensions import get_protocol_members

from lightning_recipes.errors import UserError
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.groups import LayerGroup
from lightning_recipes.modules.step_additions import StepAdditions
from lightning_recipes.modules.tasks import Task
from lightning_recipes.stages.plan import Plan, Stage
from lightning_recipes.stages.timeline import Timeline

__all__ = [
    "GivesProbabilities",
    "HasBackbone",
    "MakesImages",
    "Staged",
    "backbone_of",
    "offers",
    "require_backbone",
    "require_one_loss",
    "require_probabilities",
    "require_staged",
    "require_trained_head",
    "staged_of",
]


class Staged(Protocol):
    """A module that trains by a plan; :class:`~lightning_recipes.modules.staged.StagedModule` is one."""

    additions: StepAdditions
    backwards_left: int
    fits_head: bool
    lowest_loss: float
    one_loss: bool
    plan: Plan | None
    stage_begun_at: int | None

    @property
    def best_metric(self) -> tuple[str, str]:
        """Name of the metric that decides which epoch is best, and ``max`` or ``min``."""
        ...

    @property
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the network, stem first, head last."""
        ...

    @property
    def timeline(self) -> Timeline:
        """The plan of the run in optimizer steps; there is one as soon as there is an optimizer."""
        ...

    @property
    def epochs_to_train(self) -> int:
        """How many epochs the run has."""
        ...

    @property
    def base_lr(self) -> float:
        """Base rate of the head."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def use_plan(self, plan: Plan) -> None:
        """Take a plan for the run."""

    def apply_stage(self, stage: Stage) -> None:
        """Freeze what a stage does not train."""

    def rates_of(self, stage: Stage) -> tuple[float, float]:
        """Return a stage's base rate of the head and its factor between layer groups."""
        ...

    def set_learning_rates(self, lr: float, lr_decay: float) -> None:
        """Give every layer group its base rate."""

    def scale_learning_rates(self, factor: float) -> None:
        """Multiply every layer group's base rate."""

    def end_stage(self) -> None:
        """Let the current stage end with the current epoch."""

    def restart_schedule(self) -> None:
        """Let the current stage's schedule begin anew with the next epoch."""

    def stop_run(self) -> None:
        """Let the run end with the current epoch."""

    def evaluated_weights(self, averaged: bool = True) -> AbstractContextManager[None]:
        """Have inside what validation sees."""
        ...

    def replace_weights(self, state: dict[str, Tensor]) -> None:
        """Take weights and statistics of another moment."""

    def training_loss(self, batch: Any, key: tuple[str | int, ...]) -> Tensor | Mapping[str, Any]:
        """Return the mean loss over a batch, or a mapping with it."""
        ...

    def finished_model(self) -> dict[str, Any]:
        """Return what a file needs beside the weights to be used."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return weights and statistics by name."""
        ...


class GivesProbabilities(Protocol):
    """A module that gives class probabilities; every :class:`~lightning_recipes.modules.evaluator.Evaluator` is one."""

    num_classes: int
    class_names: list[str] | None
    task: Task
    training: bool

    def eval(self) -> Any:
        """Set all parts of the network to evaluation."""

    def train(self, mode: bool = True) -> Any:
        """Set all parts that train to training."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    @property
    def input_judged(self) -> InputConfig:
        """How a picture becomes an input where the weights were judged."""
        ...

    def logits_of(self, batch: Any) -> Tensor:
        """Return logits (N, C) of a batch."""
        ...

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        ...

    def loss_weight(self, labels: Tensor) -> Tensor | float:
        """Return what a batch counts in the mean over a set."""
        ...


class MakesImages(Protocol):
    """A module that makes images; :class:`~lightning_recipes.modules.gan.conditional_gan.ConditionalGAN` is one."""

    num_classes: int
    class_names: list[str] | None

    def generate(self, labels: Tensor, seed: int) -> Tensor:
        """Return images (N, C, H, W), uint8, of the classes (N,)."""
        ...


class HasBackbone(Protocol):
    """A module of a backbone and a head, such as :class:`~lightning_recipes.modules.classifier.ImageClassifier`."""

    backbone: nn.Module
    head: nn.Module

    def extract_features(self, images: Tensor, precision: Precision | None = None) -> Tensor:
        """Return the backbone's features (N, F), float32 on the CPU, as evaluation would see them."""
        ...


_OFFERED: WeakKeyDictionary[pl.LightningModule, set[type]] = WeakKeyDictionary()
"""What each module was found to offer: to look takes a tenth of a millisecond, and callbacks ask at every step."""


def offers(module: pl.LightningModule, protocol: type) -> bool:
    """Tell whether a module has all that a protocol names; nothing of it is called."""
    found = _OFFERED.setdefault(module, set())
    if protocol not in found and not _lacks(module, protocol):
        found.add(protocol)
    return protocol in found


def staged_of(module: pl.LightningModule) -> Staged | None:
    """Return the module of a run as one that trains by a plan; None where it is none."""
    return cast(Staged, module) if offers(module, Staged) else None


def backbone_of(module: pl.LightningModule) -> HasBackbone | None:
    """Return the module of a run as one of a backbone and a head; None where it is none."""
    return cast(HasBackbone, module) if offers(module, HasBackbone) else None


def require_staged(module: pl.LightningModule, who: str) -> Staged:
    """Return the module of a run as one that trains by a plan.

    Args:
        module: Of the run.
        who: Asks for it, for the error.

    Raises:
        UserError: It is none.
    """
    return cast(Staged, _require(module, Staged, who, "a module with layer groups and a plan, such as a StagedModule"))


def require_one_loss(module: pl.LightningModule, who: str) -> Staged:
    """Return the module of a run as one whose weights all lower one loss; arguments and errors as above."""
    staged = require_staged(module, who)
    if not staged.one_loss:
        raise UserError(
            f"{who}: needs one loss that all weights lower, and a {type(module).__name__} has two; leave it out"
        )
    return staged


def require_trained_head(module: pl.LightningModule, who: str) -> Staged:
    """Return the module of a run as one whose head belongs to any of its weights; arguments and errors as above."""
    staged = require_staged(module, who)
    if staged.fits_head:
        raise UserError(
            f"{who}: would judge weights that the head of a {type(module).__name__} is not fitted to: each validation "
            f"fits it to those that it validates; leave {who} out"
        )
    return staged


def require_probabilities(module: pl.LightningModule, who: str) -> GivesProbabilities:
    """Return the module of a run as one that gives class probabilities; arguments and errors as above."""
    what = "a module that gives class probabilities, such as a ClassificationModule"
    return cast(GivesProbabilities, _require(module, GivesProbabilities, who, what))


def require_backbone(module: pl.LightningModule, who: str) -> HasBackbone:
    """Return the module of a run as one of a backbone and a head; arguments and errors as above."""
    what = "a module with a backbone and a head, such as an ImageClassifier"
    return cast(HasBackbone, _require(module, HasBackbone, who, what))


def _require(module: pl.LightningModule, protocol: type, who: str, what: str) -> object:
    if not offers(module, protocol):
        raise UserError(f"{who}: needs {what}; {type(module).__name__} has no {', '.join(_lacks(module, protocol))}")
    return module


def _lacks(module: object, protocol: type) -> list[str]:
    known = {*dir(module)}  # parts of a network are no attributes of its class
    known -= getattr(module, "not_offered", frozenset())
    return sorted(get_protocol_members(protocol) - known)
