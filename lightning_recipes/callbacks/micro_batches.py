"""Batches that do not fit into memory are taken in parts; the step stays that of the whole batch."""

import logging
from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer
from typing_extensions import override

from lightning_recipes.compat.lightning import garbage_collection_cuda, is_oom_error
from lightning_recipes.data.batch import batch_length
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.forward import on_device
from lightning_recipes.engine.trial_steps import no_trace
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.protocols import Staged, require_staged, staged_of

__all__ = ["MicroBatches"]

log = logging.getLogger(__name__)


class MicroBatches(pl.Callback):
    """Find at the start of each stage how many parts a batch has to be taken in, and say so.

    A step is tried on the whole batch; while it runs out of memory, the parts are halved. Then the gradients of the
    parts are added up within each training step: data order, schedule, number of steps and the logged figures are those
    of ``data.batch_size``, and without batch-norm and dropout the weights are too, up to rounding. The trial leaves no
    trace. What was found is in the checkpoint, so a resumed run takes the same parts; on a machine with less memory
    start anew.

    Lightning's ``BatchSizeFinder`` changes the batch, and with it the training; it looks once, before anything is
    unfrozen.

    Source: gradient accumulation; "automatic microbatching" of MosaicML's Composer.

    When: the batch is chosen for the training and not for the card. Not with: batch-norm that trains and parts of a few
    images, whose statistics are the parts'; losses that are no mean over images, such as soft F1.

    Args:
        start: Parts to begin with, >= 1; ``trial: false`` keeps them.
        trial: Look for the number of parts; false takes ``start`` for all stages.

    Raises:
        UserError: ``start`` is out of range; in a fit, a single image does not fit.
    """

    def __init__(self, start: int = 1, trial: bool = True) -> None:
        refuse_bad_values("MicroBatches", ("start", start, start >= 1, "a number >= 1"))
        self.start, self.trial = start, trial
        self.found: dict[str, int] = {}

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin anew."""
        if stage == "fit":
            self.found = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take what was found; after a resume inside an epoch no epoch start will."""
        module = require_staged(pl_module, "MicroBatches")
        module.additions.micro_batches = self.found.get(_stage(trainer, module), self.start)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Try where a stage begins."""
        module = require_staged(pl_module, "MicroBatches")
        name = _stage(trainer, module)
        if self.trial and name not in self.found:
            parts = self._try(trainer, pl_module)
            self.found[name] = parts
            if parts > 1 and trainer.is_global_zero:
                log.info("stage '%s': a batch does not fit into memory; it is taken in %d parts", name, parts)
        module.additions.micro_batches = self.found.get(name, self.start)

    def _try(self, trainer: pl.Trainer, module: pl.LightningModule) -> int:
        """Return the number of parts that fit, on all processes."""
        data = image_data_of(trainer)
        loader = (trainer.train_dataloader or []) if data is None else data.rehearsal_dataloaders()[0]
        batch = on_device(trainer, next(iter(loader)))
        parts, images = self.start, batch_length(batch)
        with no_trace(trainer, module) as optimizer:
            while not self._fits(trainer, module, optimizer, batch, parts):
                if parts >= images:
                    raise UserError("data.image_size: one image runs out of memory; take a smaller size or model")
                parts = min(2 * parts, images)
        return int(trainer.strategy.reduce(torch.tensor(parts, device=module.device), reduce_op="max"))

    def _fits(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer, batch: Any, parts: int
    ) -> bool:
        """Take a step without the other processes, which may need another number of tries."""
        require_staged(module, "MicroBatches").additions.micro_batches = parts
        try:
            optimizer.zero_grad()
            with trainer.precision_plugin.train_step_context():
                loss: Any = module.training_step(batch, 0)
            trainer.strategy.backward(loss, None)
            optimizer.step()
        except RuntimeError as error:
            if not is_oom_error(error):
                raise
            garbage_collection_cuda()
            return False
        return True

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what was found."""
        return {"found": dict(self.found)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what was found."""
        self.found = state_dict["found"]

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take whole batches again."""
        if (module := staged_of(pl_module)) is not None:
            module.additions.micro_batches = 1


def _stage(trainer: pl.Trainer, module: Staged) -> str:
    return module.timeline.plan.at(trainer.current_epoch).name
