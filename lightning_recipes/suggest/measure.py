"""What is measured before a recipe is written, within a fifth of the time that its training may take."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch

from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.loader_settings import input_for
from lightning_recipes.data.made_again import made_again
from lightning_recipes.errors import UserError
from lightning_recipes.models.backbone import check_image_size
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.suggest.choices import Measured
from lightning_recipes.suggest.data_facts import data_facts
from lightning_recipes.suggest.probe import Probe, images_to_probe, probe, seconds_an_image
from lightning_recipes.suggest.rules import TRAINING_TO_READING, best_size, expected_error
from lightning_recipes.suggest.step_costs import BATCH_SIZES, step_costs

__all__ = ["Bench", "measure"]

LONGEST_START = 20.0
"""Seconds until model and data are there, at the most."""
FIRST = 32
"""Images that are looked at to see how long one takes."""
PROBES, MOST_PROBED, FEWEST_PROBED = 0.08, 1000, 100
"""Share of the training's time for probes, and how many images they may and should have."""
STEPS, MOST_STEPS, FEWEST_STEPS = 0.06, 12, 3
"""Likewise for training steps, at each batch size."""
SMALLER = 4 / 7
"""The second size that is looked at, as a share of the backbone's own: 128 px for 224."""


@dataclass(frozen=True)
class Bench:
    """What is measured with.

    Attributes:
        make_trainer: From callbacks and options to a trainer that leaves nothing behind.
        module: Of the first backbone.
        data: All images.
        given: Keys that were typed, such as ``data.batch_size``, with their values: these are not chosen.
    """

    make_trainer: Callable[..., pl.Trainer]
    module: ImageClassifier
    data: ImageDataModule
    given: Mapping[str, Any]

    def module_of(self, backbone: str) -> ImageClassifier:
        """Return a fresh module of a backbone."""
        if backbone == self.module.hparams["backbone"]:
            return self.module
        try:
            return made_again(self.module, backbone=backbone)
        except UserError as error:
            raise UserError(str(error).replace("model.backbone:", "backbones:")) from error

    def sizes_for(self, module: ImageClassifier) -> list[int]:
        """Return the sides to look at: the one that is given, else the backbone's own and a smaller one."""
        if self.data.image_size is not None:
            return [self.data.image_size]
        own = module.input_config.image_size
        smaller = max(32, 32 * round(own * SMALLER / 32))
        try:
            check_image_size(module.backbone, smaller)
        except UserError:
            return [own]
        return sorted({own, smaller})


def measure(bench: Bench, backbones: Sequence[str], *, seconds: float) -> Measured:
    """Look at the data, probe each backbone's features, and train the best a little.

    Args:
        bench: What to measure with.
        backbones: Names to choose from.
        seconds: That the training may take.
    """
    facts = data_facts(bench.data)
    # Since the process began: what a training needs, too, before its first image. A notebook's has done other things.
    start = min(time.process_time(), LONGEST_START)
    share = PROBES * seconds / len(backbones)
    probes = {name: _probes(bench, bench.module_of(name), share) for name in backbones}
    best = {name: best_size(found, facts, seconds) for name, found in probes.items()}
    chosen = min(backbones, key=lambda name: expected_error(best[name], facts, seconds))
    size = best[chosen].size
    batch_sizes = (bench.given["data.batch_size"],) if "data.batch_size" in bench.given else BATCH_SIZES
    steps = _steps(best[chosen], batch_sizes, seconds)
    costs = step_costs(
        bench.make_trainer, bench.module_of(chosen), bench.data, size=size, batch_sizes=batch_sizes, steps=steps
    )
    others = {name: one for name, one in best.items() if name != chosen}
    return Measured(
        seconds=seconds,
        data=facts,
        backbone=chosen,
        probes=probes[chosen],
        costs=costs,
        start=start,
        machine=_machine(bench),
        balanced=bool(bench.data.hparams["balance"]),
        typed=frozenset(bench.given),
        others=others,
    )


def _machine(bench: Bench) -> str:
    device = bench.make_trainer([]).strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} CPU cores"


def _steps(probed: Probe, batch_sizes: Sequence[int], seconds: float) -> int:
    """Steps at each batch size, within the share of the time."""
    each = sum(batch_sizes) * TRAINING_TO_READING * probed.seconds_an_image
    return int(min(MOST_STEPS, max(FEWEST_STEPS, STEPS * seconds / each)))


def _probes(bench: Bench, module: ImageClassifier, seconds: float) -> list[Probe]:
    trainer = bench.make_trainer([])
    module = module.to(trainer.strategy.root_device).eval()
    extract = partial(module.extract_features, precision=trainer.precision_plugin)
    sizes = bench.sizes_for(module)
    given = {key: bench.data.hparams[key] for key in ("mean", "std", "fit")}
    looked_at = {size: input_for(None, module.input_config, image_size=size, **given) for size in sizes}
    first = images_to_probe(bench.data, FIRST)
    each = sum(seconds_an_image(bench.data, extract, looked_at[size], first) for size in sizes)
    count = int(min(MOST_PROBED, max(FEWEST_PROBED, seconds / (2 * each))))
    return [probe(bench.data, extract, looked_at[size], images_to_probe(bench.data, count)) for size in sizes]
