"""Staged fine-tuning: freeze, train the head, unfreeze, train more, by a plan that is a function of the epoch.

Sources: Howard and Ruder (2018), "ULMFiT" (gradual unfreezing, discriminative rates); the fast.ai course.
"""

from collections.abc import Sequence

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.compat.lightning import reload_train_loader, set_max_epochs, wrap_again
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.errors import UserError
from lightning_recipes.modules.protocols import Staged, backbone_of, require_backbone, require_staged
from lightning_recipes.stages.plan import Plan, Stage
from lightning_recipes.stages.step_count import steps_per_epoch

__all__ = ["Stages"]


class Stages(pl.Callback):
    """Run a list of stages inside one fit: what trains, at which rates, on which images.

    Keeps no state. What an epoch trains is a function of the epoch; base rates are written when a stage begins and live
    on in the scheduler's own checkpoint, so whoever changes them inside a stage (a learning rate finder) is not undone.
    The run ends with the plan, or earlier where ``trainer.max_epochs`` says so. Under DDP the model is wrapped again
    when other layers train, so that every gradient is reduced and none is waited for.

    Not with: Lightning's ``BackboneFinetuning``, which stays frozen after a resume.

    Args:
        stages: What happens, in this order.

    Raises:
        UserError: The list is empty, two stages share a name, or a value cannot work; at the start of a fit, the module
            is not staged, or a stage changes the images of a foreign data module.
    """

    def __init__(self, stages: list[Stage]) -> None:
        self.plan = Plan(tuple(stages))

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Hand the plan to module and data, and freeze before DDP wraps the model."""
        if stage != "fit":
            return
        module = require_staged(pl_module, "Stages")
        self._give_data_the_plan(trainer, pl_module)
        data = image_data_of(trainer)
        plan = self.plan.settled(lambda position: steps_per_epoch(position, trainer, data))
        if data is not None and plan != self.plan:
            data.change_plan(plan)
        module.use_plan(plan)
        module.apply_stage(plan.stages[0])
        if trainer.max_epochs is None or not 0 <= trainer.max_epochs <= plan.epochs:
            set_max_epochs(trainer, plan.epochs)

    def _give_data_the_plan(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        changed, data = ("image_size", "batch_size", "augment", "cache_features"), image_data_of(trainer)
        cached = next((stage.name for stage in self.plan.stages if stage.cache_features), None)
        if cached is not None:
            require_backbone(module, f"stage '{cached}', cache_features")
        if data is not None:
            network = backbone_of(module)
            data.use_plan(self.plan, None if network is None else network.extract_features)
            if len({_loader_key(stage, changed) for stage in self.plan.stages}) > 1:
                reload_train_loader(trainer)  # the loader of a stage is kept, so this costs nothing
            return
        for stage in self.plan.stages:
            for key in (*changed, "steps"):
                if getattr(stage, key):
                    raise UserError(
                        f"stage '{stage.name}', {key}: needs an ImageDataModule, which this run does not have"
                    )

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply the current stage; after a resume inside an epoch no epoch start will."""
        self._apply(trainer, pl_module)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply the current stage, and write its base rates if it begins here."""
        module, epoch = require_staged(pl_module, "Stages"), trainer.current_epoch
        self._apply(trainer, pl_module)
        plan = self._plan(module)
        position = plan.index_at(epoch)
        stage = plan.stages[position]
        if epoch == plan.start_of(position):
            module.set_learning_rates(*module.rates_of(stage))
            module.stage_begun_at = epoch

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        before, module = _trainable(pl_module), require_staged(pl_module, "Stages")
        module.apply_stage(self._plan(module).at(trainer.current_epoch))
        if _trainable(pl_module) != before:
            # DDP looks at requires_grad once, when it wraps; without this the ranks drift apart (Lightning 20340).
            wrap_again(trainer.strategy)

    def _plan(self, module: Staged) -> Plan:
        """The module's plan: a stage may have ended sooner than the recipe says."""
        return module.plan or self.plan


def _loader_key(stage: Stage, keys: Sequence[str]) -> str:
    return repr([getattr(stage, key) for key in keys])


def _trainable(module: pl.LightningModule) -> list[bool]:
    return [parameter.requires_grad for parameter in module.parameters()]
