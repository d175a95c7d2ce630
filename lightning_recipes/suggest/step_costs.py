"""What a training step costs on this machine: a few of them are taken, and thrown away."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from typing_extensions import override

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.some_images import some_images
from lightning_recipes.engine.peak_memory import peak_memory
from lightning_recipes.engine.stage_totals import stage_name
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.stages.plan import Stage

__all__ = ["BATCH_SIZES", "StepCosts", "step_costs"]

BATCH_SIZES = (16, 32, 64)


@dataclass(frozen=True)
class StepCosts:
    """Seconds and memory; nothing of what was learned, for a few steps of all layers hurt where hundreds win.

    Attributes:
        size: Side of the images in pixels.
        all_layers: Seconds of a step of all layers, by batch size.
        head: Seconds of a step of the head on cached features.
        checkpoint: Seconds to write a checkpoint to go on from.
        peak_memory: Of the accelerator, or of this process where there is none, in bytes.
    """

    size: int
    all_layers: Mapping[int, float]
    head: float
    checkpoint: float
    peak_memory: int


class _Watch(pl.Callback):
    """Seconds of each training batch but an epoch's first, by stage."""

    def __init__(self) -> None:
        self.batches: dict[str, list[float]] = defaultdict(list)
        self._last: float | None = None

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last = None

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._last is not None:
            self.batches[stage_name(pl_module, trainer.current_epoch)].append(now - self._last)
        self._last = now


def step_costs(
    make_trainer: Callable[..., pl.Trainer],
    module: ImageClassifier,
    data: ImageDataModule,
    *,
    size: int,
    batch_sizes: Sequence[int],
    steps: int,
) -> StepCosts:
    """Train a little on some of the images, and measure.

    Args:
        make_trainer: From callbacks and options to a trainer that leaves nothing behind.
        module: It is trained, so none to go on with.
        data: Whose images.
        size: Side of the images in pixels.
        batch_sizes: To try, rising; those that the images are too few for are left out.
        steps: At each of them, >= 2.
    """
    small = some_images(data, train=max(batch_sizes) * steps, val=1)
    images = len(small.opened.splits.train)
    sizes = [n for n in batch_sizes if 2 * n <= images] or [max(1, images // 2)]
    stages = [Stage("head", epochs=1, train="head", batch_size=sizes[0], cache_features=True)]
    stages += [Stage(str(n), epochs=1, batch_size=n) for n in sizes]
    watch = _Watch()
    options = {"limit_train_batches": steps, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    trainer = make_trainer([Stages([replace(stage, image_size=size, lr=1e-6) for stage in stages]), watch], **options)
    trainer.fit(module, datamodule=small)
    began = time.perf_counter()
    trainer.save_checkpoint(Path(trainer.default_root_dir, "step_costs.ckpt"))
    return StepCosts(
        size=size,
        all_layers={n: statistics.median(watch.batches[str(n)]) for n in sizes},
        head=statistics.median(watch.batches["head"]),
        checkpoint=time.perf_counter() - began,
        peak_memory=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_memory() or 0,
    )
