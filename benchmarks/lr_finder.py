"""The learning rate finder against a grid of nine rates, and its time against that of training steps.

For each set of images, for the head alone (cached features) and for all layers (after a head that is trained alike
every time): train at each rate of the grid and at each of the finder's suggestions, with the same seeds. The best
rate of the grid is chosen with hindsight, by the mean over all seeds. Differences are paired by seed; intervals are
95 % by Student's t. Shown are accuracy / loss on the validation images.

    python benchmarks/lr_finder.py --ants_bees ants_bees.zip --cifar10 cifar10.zip --weights mobilenetv2_100.safetensors
    python benchmarks/lr_finder.py ... --only_time

Without arguments: scikit-learn's digits with the weights of the package.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from measuring import mean_and_half, start
from subset import unpack_subset

from lightning_recipes import ImageClassifier, ImageDataModule, LearningRateFinder, Stage, Stages

RECIPE_LR = {"head": 3e-3, "all": 1e-4}  # where the finder finds nothing
HEAD = Stage("head", epochs=10, train="head", lr=3e-3, schedule="cosine", cache_features=True)
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


@dataclass
class Setting:
    """What is trained on what, and the rates of the grid."""

    name: str
    data: dict[str, Any]
    model: dict[str, Any]
    stages: list[Stage]
    grid: list[float]


def settings(options: argparse.Namespace) -> list[Setting]:
    sets: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    mobile = {"backbone": "mobilenetv2_100", "backbone_kwargs": {"pad_type": "same"}, "pretrained": options.weights}
    norm = {"mean": [0.5] * 3, "std": [0.5] * 3}
    if options.ants_bees:
        sets["ants and bees"] = ({"root": options.ants_bees, "image_size": 128, "batch_size": 32, **norm}, mobile)
    if options.cifar10:
        subset = {"root": options.cifar10, "image_size": 64, "batch_size": 50}
        sets["CIFAR-10, 100 a class"] = ({**subset, **norm}, mobile)
    if not sets:
        digits = {"root": "sklearn:digits", "images_per_class": 20, "val_fraction": 0.5, "image_size": 32}
        sets["digits, 20 a class"] = (
            {**digits, "batch_size": 20, "augment": {"name": "light", "flip": False}},
            {"backbone": "test_resnet", "pretrained": "embedded:letters"},
        )
    decades = [10 ** (i / 2) for i in range(9)]
    head = Stage("head", epochs=2, train="head", schedule="cosine", cache_features=True)
    every = Stage("all", epochs=2, lr_decay=0.5, schedule="one_cycle")
    return [
        setting
        for name, (data, model) in sets.items()
        for setting in (
            Setting(f"{name}, head", data, model, [head], [1e-4 * d for d in decades]),
            Setting(f"{name}, all layers", data, model, [HEAD, every], [1e-6 * d for d in decades]),
        )
    ]


def module(setting: Setting, data: ImageDataModule) -> ImageClassifier:
    return ImageClassifier(num_classes=data.num_classes, freeze_norm_stats=True, **setting.model)


def last_stage(setting: Setting, **changes: Any) -> Stage:
    return replace(setting.stages[-1], **changes)


class SameBackbone(ImageDataModule):
    """Keeps the features of the frozen backbone from one fit to the next: here it is always the same one."""

    def setup(self, stage: str) -> None:
        kept = self._features
        super().setup(stage)
        self._features = kept


def train(setting: Setting, data: ImageDataModule, seed: int, lr: float) -> tuple[float, float]:
    """Validation accuracy and loss after training the last stage at a rate."""
    pl.seed_everything(seed, verbose=False)
    model, stages = module(setting, data), Stages([*setting.stages[:-1], last_stage(setting, lr=lr)])
    trainer = pl.Trainer(max_epochs=-1, callbacks=[stages], check_val_every_n_epoch=stages.plan.epochs, **QUIET)
    trainer.fit(model, datamodule=data)
    return float(trainer.callback_metrics["val_accuracy"]), float(trainer.callback_metrics["val_loss"])


class FoundError(Exception):
    """Ends a fit when the finder has run."""


class Stop(pl.Callback):
    """Ends a fit at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise FoundError


def find(setting: Setting, data: ImageDataModule, seed: int, **options: Any) -> dict[str, Any]:
    """What the finder reports at the start of the last stage."""
    pl.seed_everything(seed, verbose=False)
    last = last_stage(setting, lr=RECIPE_LR[setting.stages[-1].train])
    finder = LearningRateFinder(stages=[last.name], apply=False, **options)
    callbacks = [Stages([*setting.stages[:-1], last]), finder, Stop(sum(s.epochs for s in setting.stages[:-1]))]
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(FoundError):
        trainer = pl.Trainer(max_epochs=-1, callbacks=callbacks, default_root_dir=folder, limit_val_batches=0, **QUIET)
        trainer.fit(module(setting, data), datamodule=data)
    return finder.found[last.name]


def paired(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    """Mean difference and half of its 95 % interval."""
    return mean_and_half([a - b for a, b in zip(ours, theirs, strict=True)])


def taken(result: dict[str, Any], rule: str) -> float:
    """The rate that the finder takes under a rule: by divergence where there is no descent, else the recipe's."""
    suggestions = result["suggestions"]
    found = suggestions.get(rule) or suggestions.get("divergence") or {"lr": result["recipe_lr"]}
    return float(found["lr"])


def compare(setting: Setting, data: ImageDataModule, seeds: int, **finder: Any) -> None:
    grid = {lr: [train(setting, data, seed, lr) for seed in range(seeds)] for lr in setting.grid}
    accuracy = {lr: statistics.fmean(a for a, _ in runs) for lr, runs in grid.items()}
    loss = {lr: statistics.fmean(b for _, b in runs) for lr, runs in grid.items()}
    best, best_loss = max(accuracy, key=lambda lr: accuracy[lr]), min(loss, key=lambda lr: loss[lr])
    print(f"\n{setting.name}, {seeds} seeds")
    print("  grid:    " + "  ".join(f"{lr:.0e}: {accuracy[lr]:.3f} / {loss[lr]:.3f}" for lr in grid))
    print(f"  best: {best:.0e} by accuracy, {accuracy[best]:.3f}; {best_loss:.0e} by loss, {loss[best_loss]:.3f}")
    found = [find(setting, data, seed, **finder) for seed in range(seeds)]
    for rule in ("steep", "valley", "slide", "minimum", "divergence"):
        rates = [taken(result, rule) for result in found]
        kept = sum(not result["suggestions"] for result in found)
        runs = [train(setting, data, seed, rate) for seed, rate in enumerate(rates)]
        a, a_half = paired([r[0] for r in runs], [r[0] for r in grid[best]])
        b, b_half = paired([r[1] for r in runs], [r[1] for r in grid[best_loss]])
        middle = statistics.median(rates)
        print(
            f"  {rule:>8}: rate {middle:.1e} [{min(rates):.1e}..{max(rates):.1e}], the recipe's kept in {kept}, "
            f"accuracy {statistics.fmean(r[0] for r in runs):.3f}, to the best {a:+.4f} +- {a_half:.4f}; "
            f"loss {statistics.fmean(r[1] for r in runs):.3f}, to the best {b:+.4f} +- {b_half:.4f}",
            flush=True,
        )


class Clock(pl.Callback):
    """Seconds of each epoch without what other callbacks do before it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def time_ratio(setting: Setting, data: ImageDataModule, rounds: int) -> None:
    """Time of the finder against that of as many training steps of the same fit."""
    ratios = []
    for _ in range(rounds):
        pl.seed_everything(0, verbose=False)
        epochs = 40 if setting.stages[-1].cache_features else 6
        stage, clock = last_stage(setting, lr=1e-3, epochs=epochs), Clock()
        finder = LearningRateFinder(apply=False, orders=1)
        with tempfile.TemporaryDirectory() as folder:
            trainer = pl.Trainer(
                max_epochs=-1, callbacks=[Stages([stage]), finder, clock], default_root_dir=folder,
                limit_val_batches=0, **QUIET,
            )  # fmt: skip
            trainer.fit(module(setting, data), datamodule=data)
        found = finder.found[stage.name]
        ratios.append(found["seconds"] / found["optimizer_steps"] / (sum(clock.seconds) / trainer.global_step))
    ratios.sort()
    print(
        f"{setting.name}: a step of the finder takes {ratios[len(ratios) // 2]:.2f} "
        f"[{ratios[0]:.2f}..{ratios[-1]:.2f}] of a training step ({rounds} fits)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ants_bees")
    parser.add_argument("--cifar10")
    parser.add_argument("--weights", default="mobilenetv2_100.safetensors")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="of the finder, for each data order")
    parser.add_argument("--orders", type=int, default=3, help="data orders of the finder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=["head", "all layers"], help="one of the two only")
    parser.add_argument("--only_time", action="store_true")
    options = parser.parse_args()
    start()
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        if options.cifar10:
            unpack_subset(options.cifar10, Path(folder), train=100, val=100)
            options.cifar10 = folder
        for setting in settings(options):
            if options.part and not setting.name.endswith(options.part):
                continue
            data = SameBackbone(**setting.data, eval_batch_size=100, num_workers=0)
            if not options.only_time:
                compare(setting, data, options.seeds, steps=options.steps, orders=options.orders)
            time_ratio(setting, data, options.rounds)


if __name__ == "__main__":
    main()
