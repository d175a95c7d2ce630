"""Exponential moving average of the weights: smoother than the last step's, and often better."""

import functools
from typing import Any, Literal

import lightning.pytorch as pl
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric
from typing_extensions import override

from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.models.averaging import move_towards_
from lightning_recipes.modules.averaged_weights import AveragedWeights
from lightning_recipes.modules.network_tensors import network_tensors
from lightning_recipes.modules.protocols import (
    require_probabilities,
    require_staged,
    require_trained_head,
    staged_of,
)

__all__ = ["EMA", "decay_at"]


def decay_at(step: int, *, decay: float) -> float:
    """Return the decay of a step, ``min(decay, (1 + n) / (10 + n))``: a short run is not stuck at its first weights.

    Source: TensorFlow's ``ExponentialMovingAverage`` (``num_updates``).

    Args:
        step: n, the steps before this one.
        decay: What it grows to.

    Example:
        >>> [round(decay_at(n, decay=0.99), 3) for n in (0, 10, 100, 10_000)]
        [0.1, 0.55, 0.918, 0.99]
    """
    return min(decay, (1 + step) / (10 + step))


class EMA(pl.Callback):
    """Average weights and statistics over the steps, ``a <- d a + (1 - d) w``, with a decay that warms up.

    Updated after the optimizer step, so after clipping and max-norm. Only what trains moves; layers that are frozen are
    one in both, from the moment they freeze: as validation sees them. At the end of the fit the module has the averaged
    weights, unless ``validate`` is ``raw``.

    Checkpoints hold both: ``state_dict`` is what is validated (and so what ``best.ckpt`` is used for), ``ema`` says
    which it is (``state_dict_is``) and holds the other (``average`` or ``raw``). Resumes to the bit. Snapshots,
    restored best weights and figures take what is validated, too.

    Lightning's ``EMAWeightAveraging`` is not used: it has no warm-up of the decay, updates tensor by tensor, copies the
    whole module with its metrics, stays on the CPU where the model moves to a GPU, leaves the weights swapped after an
    exception in a validation, and saves raw weights where only weights are saved.

    Source: Polyak and Juditsky (1992); Tarvainen and Valpola (2017), "Mean teachers", for the exponential one.

    When: nearly always with a constant or high rate at the end. Not with: a rate that decays to zero over the run,
    which averages by itself: there it changes little.

    Args:
        decay: d of one optimizer step, in [0, 1); 0.999 averages over about the last 1000 steps.
        every_n_steps: Optimizer steps between updates, >= 1: an update of k steps decays by d^k. Moving the average is
            a pass over all weights, one to two percent of a ResNet-18's step on a CPU; a lag of three steps loses
            nothing.
        validate: What validation judges: ``average``, ``raw``, or ``both``: then ``val_loss_raw`` and
            ``val_accuracy_raw`` are logged beside the average's, for a second forward pass.

    Raises:
        UserError: A value cannot work; at the start of a fit, the module is not staged.
    """

    def __init__(
        self,
        decay: float = 0.999,
        every_n_steps: int = 4,
        validate: Literal["average", "raw", "both"] = "average",
    ) -> None:
        refuse_bad_values(
            "EMA",
            ("decay", decay, 0 <= decay < 1, "a number in [0, 1)"),
            ("every_n_steps", every_n_steps, every_n_steps >= 1, "a number >= 1"),
            ("validate", validate, validate in ("average", "raw", "both"), "one of average, raw, both"),
        )
        self.decay, self.every_n_steps, self.validate = decay, every_n_steps, validate
        self.updates = 0
        self.average: dict[str, Tensor] | None = None
        self._seen_step = 0
        self._raw_loss: MeanMetric | None = None
        self._raw_metric: Metric | None = None

    # The average, and when it moves.

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin anew."""
        if stage == "fit":
            require_staged(pl_module, "EMA")
            if self.validate == "both":
                require_probabilities(pl_module, "EMA.validate: both")
                require_trained_head(pl_module, "EMA.validate: both")
            self.updates, self.average, self._seen_step = 0, None, 0

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the first weights, where no checkpoint has brought an average; the module is on its device by now."""
        module = require_staged(pl_module, "EMA")
        if self.average is None:
            tensors = network_tensors(pl_module, module.layer_groups)
            self.average = {name: tensor.clone() for name, tensor in tensors.items()}
        self.average = {name: tensor.to(pl_module.device) for name, tensor in self.average.items()}
        module.additions.averaged = None if self.validate == "raw" else AveragedWeights(self.average)
        self._pairs: tuple[tuple[bool, ...], list[Tensor], list[Tensor]] | None = None
        self._parameters: dict[str, nn.Parameter] | None = None

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average, if this batch ended a step."""
        step = trainer.global_step
        if step == self._seen_step:
            return
        self._seen_step = step
        if step % self.every_n_steps == 0:
            averages, values = self._moving(pl_module)
            decay = decay_at(self.updates * self.every_n_steps, decay=self.decay)
            move_towards_(averages, values, decay=decay**self.every_n_steps)
            self.updates += 1

    def _moving(self, module: pl.LightningModule) -> tuple[list[Tensor], list[Tensor]]:
        """Averages and values of what trains; found again only when other layers train."""
        if self._parameters is None:  # to walk through the modules is most of an update of a small network
            self._parameters = dict(module.named_parameters())
        trains = tuple(p.requires_grad for p in self._parameters.values())
        if self._pairs is None or self._pairs[0] != trains:
            assert self.average is not None
            frozen = {name for name, p in self._parameters.items() if not p.requires_grad}
            tensors = network_tensors(module, require_staged(module, "EMA").layer_groups)
            own = {name: t for name, t in tensors.items() if name not in frozen}
            for name in tensors.keys() - own.keys():
                self.average[name].copy_(tensors[name])
            self._pairs = (trains, [self.average[name] for name in own], list(own.values()))
        return self._pairs[1], self._pairs[2]

    # Validation sees it.

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap the averaged weights in."""
        staged = staged_of(pl_module)
        if staged is None:  # an ensemble, or several views, which are finished
            return
        averaged = staged.additions.averaged
        if averaged is not None:
            averaged.swap(pl_module)
        if self.validate == "both":
            module = require_probabilities(pl_module, "EMA")
            self._raw_loss = loss_mean().to(pl_module.device)
            self._raw_metric = module.task.training_metric(module.num_classes).to(pl_module.device)

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
        """Judge the raw weights on the same batch."""
        if self.average is None or self._raw_loss is None or self._raw_metric is None:
            return
        staged, module = require_staged(pl_module, "EMA"), require_probabilities(pl_module, "EMA")
        with staged.evaluated_weights(averaged=False), trainer.precision_plugin.forward_context():
            logits = module.logits_of(batch)
            weight = module.loss_weight(batch[1])
            self._raw_loss.update(module.compute_loss(logits, batch[1]), weight=weight)
        self._raw_metric.update(logits.float(), batch[1])
        log = functools.partial(pl_module.log, batch_size=len(batch[1]), metric_attribute="ema")
        log("val_loss_raw", self._raw_loss)
        log(f"val_{module.task.training_metric_name}_raw", self._raw_metric)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap the trained weights back."""
        self._trained_weights_back(pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Swap the trained weights back, before anybody saves them."""
        self._trained_weights_back(pl_module)

    def _trained_weights_back(self, module: pl.LightningModule) -> None:
        staged = staged_of(module)
        averaged = None if staged is None else staged.additions.averaged
        if averaged is not None and averaged.are_in:
            averaged.swap(module)

    # The end, and checkpoints.

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the averaged weights in the module."""
        self._leave(pl_module)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do so too where a run was over before it went on, whose training has no end."""
        self._leave(pl_module)

    def _leave(self, pl_module: pl.LightningModule) -> None:
        if self.average is not None:
            additions = require_staged(pl_module, "EMA").additions
            if additions.averaged is not None:
                additions.averaged.swap(pl_module)
            additions.averaged = self.average = None

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"updates": self.updates, "seen_step": self._seen_step}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.updates, self._seen_step = state_dict["updates"], state_dict["seen_step"]

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put what is validated into ``state_dict``, and the other beside it."""
        if self.average is None:
            return
        whole, other = checkpoint["state_dict"], {n: t.clone() for n, t in self.average.items()}
        if self.validate == "raw":
            checkpoint["ema"] = {"state_dict_is": "raw", "average": other}
            return
        raw = {name: whole[name].clone() for name in other}
        averaged = require_staged(pl_module, "EMA").additions.averaged
        if averaged is not None and averaged.are_in:  # saved inside a validation
            raw, other = other, raw
        checkpoint["state_dict"] = {**whole, **other}
        checkpoint["ema"] = {"state_dict_is": "average", "raw": raw}

    @override
    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take both back. A checkpoint of a run without an average begins one."""
        saved = checkpoint.get("ema")
        if saved is None or trainer.state.fn != "fit":
            return
        if saved["state_dict_is"] == "raw":
            self.average = saved["average"]
        else:
            self.average = {name: checkpoint["state_dict"][name].clone() for name in saved["raw"]}
            pl_module.load_state_dict({**checkpoint["state_dict"], **saved["raw"]})
