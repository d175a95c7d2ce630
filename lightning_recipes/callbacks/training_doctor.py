"""What goes wrong while a run trains, said as soon as it is seen, each thing once."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.engine.collect_predictions import has_predictions
from lightning_recipes.engine.layer_outputs import LayerOutputs, first_not_finite, layers_not_finite
from lightning_recipes.engine.stage_totals import stage_name
from lightning_recipes.errors import first_few, refuse_bad_values
from lightning_recipes.evaluation.symptoms.classes import NeverPredicted, never_predicted
from lightning_recipes.evaluation.symptoms.embeddings import collapsed
from lightning_recipes.evaluation.symptoms.epochs import (
    StageCourse,
    all_known,
    always_clipped,
    overfits,
    stands_still,
)
from lightning_recipes.evaluation.symptoms.layers import LayerOutput, dead_layer, exploding_layer, not_finite
from lightning_recipes.evaluation.symptoms.loading import waits_for_images
from lightning_recipes.evaluation.symptoms.step_losses import StepLosses, crawls, shot_up
from lightning_recipes.evaluation.symptoms.symptom import Symptom
from lightning_recipes.modules.keyed_steps import is_trial
from lightning_recipes.modules.protocols import GivesProbabilities, offers, require_probabilities, staged_of
from lightning_recipes.stages.step_count import logs_this_step

__all__ = ["TrainingDoctor"]

log = logging.getLogger(__name__)

NAMES = (
    "not_finite", "loss_shot_up", "loss_crawls", "dead_layer", "exploding_layer", "overfits", "stands_still",
    "always_clipped", "class_never_predicted", "waits_for_images", "nothing_left_to_learn",
    "collapsed",
)  # fmt: skip
FIRST_LOOK, LOOKS_GROW = 16, 4
"""Optimizer steps at whose layers it looks: 16, 64, 256, ..."""
WATCHED = (
    *("train_loss", "train_accuracy", "gradient_clipping/clipped_share"),
    *("train_embedding_spread", "train_embedding_rank"),
)


class TrainingDoctor(pl.Callback):
    """Watch a training, and say what goes wrong with it, each thing once: in the terminal and in ``symptoms.json``.

    The report and W&B show the file. Each has a name: ``not_finite`` (and in which layer first, on a CPU, where to
    look at each loss is no wait), ``loss_shot_up``, ``loss_crawls``, ``dead_layer``, ``exploding_layer``,
    ``overfits``, ``stands_still``, ``always_clipped`` (by ``GradientClipping``), ``class_never_predicted``,
    ``waits_for_images``, ``nothing_left_to_learn`` (of a stage on cached features), ``collapsed`` (embeddings of a
    pretraining). Layers are looked at in steps 16, 64, 256 and so on.

    Nothing of the training changes, and nothing is decided. What was said is in the checkpoint: a run that goes on does
    not say it again. ``lightning-recipes fit`` has it already.

    Source: Karpathy (2019), "A Recipe for Training Neural Networks"; Goodfellow et al. (2016), "Deep Learning", section
    11.5.

    When: always. Not with: a training that is meant to do what it names; leave that out by ``ignore``.

    Args:
        ignore: Names of what is not to be said.

    Raises:
        UserError: There is no such name.
    """

    def __init__(self, ignore: Sequence[str] = ()) -> None:
        unknown = [name for name in ignore if name not in NAMES]
        refuse_bad_values("TrainingDoctor", ("ignore", first_few(unknown), not unknown, f"any of {', '.join(NAMES)}"))
        self.ignore = tuple(ignore)
        self.said: list[dict[str, Any]] = []
        self.losses, self.course, self.classes = StepLosses(), StageCourse(), NeverPredicted()
        self.first_outputs: dict[str, float] = {}
        self._waited = self._worked = self._since = 0.0
        self._unread: list[Tensor] = []
        self._outputs: LayerOutputs | None = None
        self._batch: tuple[Any, int] | None = None
        self._counts: list[Tensor] = []
        self._validated = False

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what was seen and said."""
        return {
            "said": self.said,
            "losses": self.losses.state_dict(),
            "course": asdict(self.course),
            "classes": dict(vars(self.classes)),
            "first_outputs": self.first_outputs,
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what was seen and said."""
        self.said, self.first_outputs = list(state_dict["said"]), dict(state_dict["first_outputs"])
        self.losses.load_state_dict(state_dict["losses"])
        self.course = StageCourse(**state_dict["course"])
        vars(self.classes).update(state_dict["classes"])

    # Steps.

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin; a run that goes on inside an epoch has no start of it."""
        self._unread, self._since = [], 0.0
        self._begin_stage(trainer, pl_module)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a stage where one begins."""
        self._since = 0.0
        self._begin_stage(trainer, pl_module)

    def _begin_stage(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        name, staged = stage_name(module, trainer.current_epoch), staged_of(module)
        epochs, cached = trainer.max_epochs, False
        if staged is not None and staged.plan is not None:
            stage = staged.plan.at(trainer.current_epoch)
            epochs, cached = stage.epochs, stage.cache_features
        if name != self.course.name:
            self.course = StageCourse(name, trainer.current_epoch)
            self._waited = self._worked = 0.0
            self.losses.begin_stage()
            self.first_outputs = {}
        self.course.epochs, self.course.cached = epochs if epochs is not None and epochs > 0 else None, cached

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note how long the batch was waited for, and look at the layers of some steps."""
        now = time.monotonic()
        if self._since:
            self._waited += now - self._since
        self._since, self._batch = now, (batch, batch_idx)
        self._stop_looking()  # a callback may have had the batch left out
        if _looks_at(trainer.global_step + 1) and not pl_module.hparams.get("compile"):
            self._outputs = LayerOutputs(pl_module)

    def _stop_looking(self) -> list[LayerOutput]:
        found, self._outputs = [] if self._outputs is None else self._outputs.read(), None
        return found

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave no hook behind."""
        self._stop_looking()

    @override
    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Find the layer that spoils a loss while the weights are whole; elsewhere than on a CPU it would be a wait."""
        if loss.device.type != "cpu" or math.isfinite(float(loss.detach())):
            return
        if is_trial(pl_module) or self._knows("not_finite"):
            return
        layer = None if self._batch is None else first_not_finite(trainer, pl_module, *self._batch)
        self._say(trainer, not_finite(layer, layers_not_finite(pl_module)))

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the loss; what was kept of a device is read where the trainer reads too."""
        now = time.monotonic()
        if self._since:
            self._worked += now - self._since
        self._since, self._batch = now, None
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._unread.append(loss.detach() * trainer.accumulate_grad_batches)
        if self._unread and (self._unread[-1].device.type == "cpu" or logs_this_step(trainer)):
            self._read_losses(trainer, pl_module)
        if found := self._stop_looking():
            self.first_outputs = self.first_outputs or {one.name: one.largest for one in found}
            self._say(trainer, dead_layer(found), exploding_layer(found, self.first_outputs))

    def _read_losses(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        losses, self._unread = self._unread, []
        for loss in losses[0][None].tolist() if len(losses) == 1 else torch.stack(losses).tolist():
            if math.isfinite(loss):
                if self.losses.add(loss) and (floor := _lowest_loss(module)) is not None:
                    self._say(trainer, shot_up(self.losses, floor))
            elif not self._knows("not_finite"):
                self._say(trainer, not_finite(None, layers_not_finite(module)))

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave the time that it takes out."""
        self._since = 0.0

    # Epochs.

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the time out, and count anew."""
        self._since, self._counts = 0.0, []

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count what is predicted of each class, and how many images it has."""
        if has_predictions(outputs) and offers(pl_module, GivesProbabilities):
            task, classes = require_probabilities(pl_module, "TrainingDoctor").task, outputs["probabilities"].shape[1]
            said = task.predicted(outputs["probabilities"])
            self._counts.append(torch.stack([_count(labels, classes) for labels in (said, outputs["labels"])]))

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the processes' counts together."""
        self._validated = trainer.state.fn == "fit" and not trainer.sanity_checking
        if self._validated and offers(pl_module, GivesProbabilities):
            classes = require_probabilities(pl_module, "TrainingDoctor").num_classes
            none = torch.zeros(2, classes, dtype=torch.long, device=pl_module.device)  # of a process without images
            total = trainer.strategy.reduce(torch.stack([none, *self._counts]).sum(dim=0), reduce_op="sum")
            assert isinstance(total, Tensor)
            self.classes.add(*total.tolist())
        self._counts = []

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the epoch's metrics, and look at all of them."""
        if self._unread:
            self._read_losses(trainer, pl_module)
        self._since, staged, course = 0.0, staged_of(pl_module), self.course
        score = ("val_loss", "min") if staged is None else staged.best_metric
        watched = [*WATCHED, *(("val_loss", score[0]) if self._validated else ())]
        row = {name: float(trainer.callback_metrics[name]) for name in watched if name in trainer.callback_metrics}
        row["steps"] = self.losses.steps - sum(one["steps"] for one in course.rows.values())
        rates = [float(group["lr"]) for one in trainer.optimizers for group in one.param_groups]
        row["lr"] = max(rates, default=0.0)
        course.rows[trainer.current_epoch] = row
        lowers_later = staged is not None and staged.timeline.halves_after(trainer.global_step - 1)
        workers = getattr(trainer.train_dataloader, "num_workers", None)
        floor = _lowest_loss(pl_module)
        self._say(
            trainer,
            crawls(self.losses, course.rate, floor) if course.half_over and floor is not None else None,
            overfits(course, score, lowers_later=lowers_later),
            stands_still(course, self.losses.first, lowers_later=lowers_later),
            all_known(course),
            always_clipped(course),
            waits_for_images(self._waited, self._worked, workers),
            collapsed(course),
            self._unpredicted(pl_module, over=False) if self._validated and self._half_over(trainer) else None,
        )
        self._validated = False

    def _half_over(self, trainer: pl.Trainer) -> bool:
        staged = staged_of(trainer.lightning_module)
        epochs = trainer.max_epochs if staged is None else staged.epochs_to_train
        return epochs is None or epochs < 0 or 2 * (trainer.current_epoch + 1) >= epochs

    def _unpredicted(self, module: pl.LightningModule, *, over: bool) -> Symptom | None:
        return never_predicted(self.classes, getattr(module, "class_names", None), over=over)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look a last time, and write the file, also where there is nothing in it."""
        self._say(trainer, self._unpredicted(pl_module, over=True))
        self._write(trainer)

    # What is said.

    def _knows(self, name: str) -> bool:
        return name in self.ignore or any(one["name"] == name for one in self.said)

    def _say(self, trainer: pl.Trainer, *symptoms: Symptom | None) -> None:
        for symptom in symptoms:
            if symptom is None or self._knows(symptom.name):
                continue
            epoch = trainer.current_epoch if trainer.training else max(self.course.rows, default=0)  # it is over
            self.said.append({"epoch": epoch, "step": trainer.global_step, **symptom._asdict()})
            if trainer.is_global_zero:
                log.warning("%s (step %d): %s. %s.", symptom.what, trainer.global_step, symptom.number, symptom.advice)
                with suppress(OSError):  # such as a full disk: no reason to end a training
                    self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            write_json(Path(trainer.default_root_dir) / "symptoms.json", self.said)


def _looks_at(step: int) -> bool:
    """Whether a step is the sixteenth, or so many times the fourth of the one before."""
    while step > FIRST_LOOK and step % LOOKS_GROW == 0:
        step //= LOOKS_GROW
    return step == FIRST_LOOK


def _lowest_loss(module: pl.LightningModule) -> float | None:
    """What the loss of a step can fall to; None of adversaries, whose loss does not say how a training goes."""
    staged = staged_of(module)
    if staged is None:
        return 0.0
    return staged.lowest_loss if staged.one_loss else None


def _count(labels: Tensor, classes: int) -> Tensor:
    return torch.bincount(labels, minlength=classes) if labels.ndim == 1 else labels.long().sum(dim=0)
