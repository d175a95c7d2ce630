"""``figures/``: what a run is planned to be, and what it looked like, as pictures."""

import math
from contextlib import suppress
from pathlib import Path

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.figures.curves import learning_curves
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.figures.schedule import PlannedRun, schedule_figure
from lightning_recipes.modules.protocols import Staged, staged_of
from lightning_recipes.optim.parameter_groups import layer_learning_rate, named_groups
from lightning_recipes.run.reader import RunContents
from lightning_recipes.stages.plan import Plan, Stage

__all__ = ["RunFigures", "measured", "planned_run"]

MOMENTS = 1000  # more than a picture is wide


class RunFigures(pl.Callback):
    """Draw ``figures/schedule.png`` before training and ``figures/curves.png``, from ``metrics.csv``, after it.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the plan, unless an earlier session has."""
        path = self.folder / "figures" / "schedule.png"
        if not trainer.is_global_zero or trainer.fast_dev_run or path.exists():  # type: ignore[attr-defined]
            return
        if (module := staged_of(pl_module)) is not None:
            save_figure(schedule_figure(planned_run(trainer, module)), path, key="schedule", loggers=trainer.loggers)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the curves; a run that logged nothing has none."""
        self._draw_curves(trainer, pl_module)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Draw the curves of a run that was stopped, if an epoch was done."""
        if trainer.state.fn == "fit" and trainer.current_epoch > 0:
            with suppress(OSError):  # a disk that is full may be the reason
                self._draw_curves(trainer, pl_module)

    def _draw_curves(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or not (rows := RunContents(self.folder).metrics):
            return
        plan = getattr(module, "plan", None)
        plan = plan if isinstance(plan, Plan) else None
        starts = {s.name: plan.start_of(i) for i, s in enumerate(plan.stages)} if plan else {}
        figure = learning_curves(rows, starts, measured(image_data_of(trainer), plan) if plan else {})
        save_figure(figure, self.folder / "figures" / "curves.png", key="curves", loggers=trainer.loggers)


def measured(data: ImageDataModule | None, plan: Plan) -> dict[str, str]:
    """Return what training is measured on in each stage; nothing where the data module does not say."""
    if data is None:
        return {}
    names = {}
    for stage in plan.stages:
        loaders = data.settings_of(stage)
        plain = loaders.augment in (None, "none")
        if loaders.cache_features:
            names[stage.name] = "cached features " + ("(no augmentation)" if plain else "of augmented images")
        else:
            names[stage.name] = "images as they are" if plain else "augmented images"
    return names


def planned_run(trainer: pl.Trainer, module: Staged) -> PlannedRun:
    """Return what a run is planned to be, at no more than about a thousand of its moments."""
    timeline, groups = module.timeline, _groups(trainer)
    stages = timeline.plan.stages
    run = PlannedRun(rates={name: [] for name in groups})
    if module.plan is not None:
        run.boundaries = {f"{s.name}: {_trained(s)}": float(timeline.plan.start_of(i)) for i, s in enumerate(stages)}
    data = image_data_of(trainer)
    loaders = None if data is None else [data.settings_of(s if module.plan is not None else None) for s in stages]
    images_a_sample = trainer.world_size * trainer.accumulate_grad_batches
    for step in range(0, timeline.steps, max(1, math.ceil(timeline.steps / MOMENTS))):
        position, _ = timeline.at(step)
        stage, factor = stages[position], timeline.factor(step)
        lr, lr_decay = module.rates_of(stage)
        trainable = stage.trainable_of(len(groups))
        for name, depth in groups.items():
            base = layer_learning_rate(lr, lr_decay, depth)
            run.rates[name].append(base * factor if depth < trainable else math.nan)
        run.epochs.append(timeline.epoch_of(step))
        run.momentum.append(timeline.momentum(step))
        if loaders is not None:
            run.batch_size.append(loaders[position].batch_size * images_a_sample)
            run.image_size.append(loaders[position].image_size)
    return run


def _trained(stage: Stage) -> str:
    """What trains in a stage, in words."""
    if isinstance(stage.train, str):
        return {"head": "the head alone", "all": "all layers"}[stage.train]
    return "the head alone" if stage.train == 1 else f"the last {stage.train} groups"


def _groups(trainer: pl.Trainer) -> dict[str, int]:
    """Depth of each layer group, stem first, by its name."""
    return {name: group["depth"] for group, name in named_groups(trainer.optimizers[0])}
