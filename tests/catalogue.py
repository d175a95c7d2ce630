"""Every technique there is, as one factor of an experiment, and recipes that bring every two of them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes.models.fingerprint import weights_sha256
from tests.small import QUIET

Callbacks = list[Callable[[], pl.Callback]]


@dataclass(frozen=True)
class Level:
    """What one setting of a factor changes in a recipe."""

    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    every: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    module: type[lr.ImageClassifier] = lr.ImageClassifier
    callbacks: Callbacks = field(default_factory=list)
    fp16: bool = False


class OwnClassifier(lr.ImageClassifier):
    """Somebody's own: a head of two layers, features of another scale, a metric more, and hooks without super."""

    def __init__(self, *args: Any, width: int = 16, **kwargs: Any) -> None:
        self.width = width
        super().__init__(*args, **kwargs)
        self.save_hyperparameters()

    @override
    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(num_features, self.width), nn.ReLU(), nn.Linear(self.width, self.num_classes))

    @override
    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * 2

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Nothing."""

    @override
    def on_train_epoch_end(self) -> None:
        """Nothing, and nothing of the parent's either."""

    @override
    def on_validation_epoch_start(self) -> None:
        """Likewise."""


OFF = Level()


def on(*callbacks: Callable[[], pl.Callback]) -> Level:
    return Level(callbacks=list(callbacks))


def model(**options: Any) -> Level:
    return Level(model=options)


MADE = str(Path(__file__).with_name("made_digits.zip"))
WEIGHTS = [1.0, 5.0, 1.0, 0.2, 1.0, 3.0, 1.0, 1.0, 0.5, 1.0]

# In the order in which they act on a step, which is the order in the list of callbacks.
FACTORS: dict[str, dict[str, Level]] = {
    "wandb": {"off": OFF, "on": on(lambda: lr.WandbTracker(mode="offline"))},
    "finder": {"off": OFF, "on": on(lambda: lr.LearningRateFinder(["all"], steps=10, orders=1, min_lr=1e-4, max_lr=1))},
    "memory": {"whole": OFF, "parts": on(lambda: lr.MicroBatches(start=2, trial=False)), "tried": on(lr.MicroBatches)},
    "depth": {"constant": OFF, "grows": on(lr.StochasticDepth)},
    "mixing": {
        "off": OFF,
        "mixup": on(lambda: lr.Mixing(mixup_alpha=0.4)),
        "cutmix": on(lambda: lr.Mixing(mixup_alpha=0.0, cutmix_alpha=1.0, p=0.7)),
        "both": on(lambda: lr.Mixing(mixup_alpha=0.4, cutmix_alpha=1.0, off_last_epochs=1)),
    },
    "activations": {"free": OFF, "small": on(lambda: lr.ActivationRegularization(0.1))},
    "sharpness": {"off": OFF, "on": on(lambda: lr.SAM(0.05))},
    "noise": {"off": OFF, "on": on(lambda: lr.GradientNoise(eta=1e-4))},
    "l1": {"off": OFF, "on": on(lambda: lr.L1(1e-4, every_n_steps=2))},
    "clipping": {
        "off": OFF,
        "norm": on(lambda: lr.GradientClipping("norm", 0.5)),
        "group": on(lambda: lr.GradientClipping("norm", 0.2, scope="group")),
        "value": on(lambda: lr.GradientClipping("value", 0.01)),
        "adaptive": on(lambda: lr.GradientClipping("adaptive", 0.01)),
    },
    "max_norm": {"off": OFF, "on": on(lambda: lr.MaxNorm(1.0, every_n_steps=2))},
    "ema": {
        "off": OFF,
        "average": on(lambda: lr.EMA(0.9, 1)),
        "raw": on(lambda: lr.EMA(0.9, 2, "raw")),
        "both": on(lambda: lr.EMA(0.9, validate="both")),
    },
    "lookahead": {"off": OFF, "on": on(lambda: lr.Lookahead(3, 0.4, power=1))},
    "plateau": {"off": OFF, "reduce": on(lambda: lr.OnPlateau("reduce", patience=0, min_delta=0.5))},
    "stopping": {
        "off": OFF,
        "stage": on(lambda: lr.EarlyStopping(patience=0, min_delta=0.9, scope="stage")),
        "run": on(lambda: lr.EarlyStopping("val_accuracy", "max", patience=0)),
    },
    "snapshots": {"off": OFF, "on": on(lambda: lr.SnapshotEnsemble(["all"], soup=False))},
    "checkpoints": {"ours": OFF, "every": on(lambda: ModelCheckpoint(save_top_k=-1, filename="own-{step}"))},
    "module": {"ours": OFF, "own": Level(module=OwnClassifier)},
    "accumulate": {
        "1": OFF,
        "2": Level(trainer={"accumulate_grad_batches": 2}),
        "3": Level(trainer={"accumulate_grad_batches": 3}),  # of four batches: the last step has one
    },
    "precision": {"32": OFF, "bf16": Level(trainer={"precision": "bf16-mixed"}), "fp16": Level(fp16=True)},
    "memory_format": {"first": OFF, "last": model(channels_last=True)},
    "loss": {
        "cross_entropy": OFF,
        "smoothed": model(loss={"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": WEIGHTS}),
        "binary": model(loss="binary_cross_entropy"),
        "focal": model(loss="focal"),
        "soft_f1": model(loss="soft_f1"),
        "squared": model(loss="mean_squared_error"),
    },
    "optimizer": {
        "adamw": OFF,
        "sgd": model(optimizer="sgd"),
        "momentum": model(optimizer={"name": "sgd", "momentum": 0.9}),
        "nesterov": model(optimizer={"name": "sgd", "momentum": 0.9, "nesterov": True}),
        "rmsprop": model(optimizer="rmsprop"),
        "adam": model(optimizer="adam"),
        "lamb": model(optimizer="lamb"),
    },
    "schedule": {"one_cycle": OFF, "restarts": Level(every={"schedule": {"name": "warm_restarts", "cycle_epochs": 1}})},
    "dropout": {"off": OFF, "on": model(dropout=0.3)},
    "norm": {"trains": OFF, "fixed": model(freeze_norm_stats=True)},
    "init": {"own": OFF, "xavier": model(init="xavier"), "kaiming": model(init="kaiming")},
    "head": {
        "linear": OFF,
        "mlp": model(head="mlp"),
        "cosine": model(head="cosine"),
        "pool": model(head="concat_pool"),
    },
    "activation": {"own": OFF, "gelu": model(activation="gelu")},
    "augment": {
        "light": OFF,
        "none": Level(data={"augment": "none"}),
        "randaugment": Level(data={"augment": "randaugment"}),
        "autoaugment": Level(data={"augment": "autoaugment"}),
        "augmix": Level(data={"augment": "augmix"}),
        "spectrogram": Level(data={"augment": "spectrogram"}),
    },
    # Searched operations are not drawn on the device, so another policy comes in their place.
    "cache": {
        "off": OFF,
        "decoded": Level(data={"cache": "decoded"}),
        "device": Level(data={"cache": "device", "augment": "medium"}),
    },
    "balance": {"off": OFF, "epoch": Level(data={"balance": True}), "batches": Level(data={"balance": "batches"})},
    # Sixteen digits in negative, four of each of the first four classes.
    "extra": {"none": OFF, "half": Level(data={"extra": {"root": MADE, "weight": 0.5}})},
    "resizing": {"off": OFF, "grows": Level(every={"image_size": 40}), "shrinks": Level(head={"image_size": 40})},
    "refreeze": {
        "off": OFF,
        "images": Level(last={"name": "again", "epochs": 1, "train": "head", "lr": 0.5}),
        "cached": Level(last={"name": "again", "epochs": 1, "train": "head", "lr": 0.5, "cache_features": True}),
    },
    "validating": {
        "ends": OFF,
        "within": Level(trainer={"val_check_interval": 0.75}),
        "seldom": Level(trainer={"check_val_every_n_epoch": 2}),
    },
    "end": {"plan": OFF, "steps": Level(trainer={"max_steps": 11})},
    "ramp": {"off": OFF, "on": Level(every={"batch_size": 20})},
    "features": {
        "images": OFF,
        "cached": Level(head={"cache_features": True}),
        "views": Level(head={"cache_features": True, "feature_views": 1, "augment": "light"}),
    },
}

Recipe = dict[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(recipe: Recipe) -> set[Pair]:
    """Every two settings of a recipe."""
    return set(combinations(recipe.items(), 2))


def every_pair() -> set[Pair]:
    return {
        ((a, x), (b, y)) for a, b in combinations(FACTORS, 2) for x in FACTORS[a] for y in FACTORS[b]
    }  # fmt: skip


def pairwise_recipes() -> list[Recipe]:
    """Recipes in which every two settings of two factors meet, by greedy choice; the same list every time."""
    missing, recipes = every_pair(), []
    while missing:
        recipe: Recipe = dict(min(missing))
        for name, levels in FACTORS.items():
            if name not in recipe:
                recipe[name] = max(levels, key=lambda level: _gain(recipe, name, level, missing))
        recipe = {name: recipe[name] for name in FACTORS}
        recipes.append(recipe)
        missing -= pairs_of(recipe)
    return recipes


def _gain(recipe: Recipe, name: str, level: str, missing: set[Pair]) -> int:
    order = list(FACTORS)
    together = [((other, chosen), (name, level)) for other, chosen in recipe.items()]
    return sum((a, b) in missing if order.index(a[0]) < order.index(b[0]) else (b, a) in missing for a, b in together)


def run(
    recipe: Recipe, folder: Path, *more: pl.Callback, ckpt_path: Path | None = None, **options: Any
) -> tuple[pl.Trainer, str]:
    """Train a recipe: a stage of one epoch for the head and one of two for all, four batches each.

    Six where classes are balanced that have extra images.
    """
    levels = [FACTORS[name][recipe.get(name, next(iter(FACTORS[name])))] for name in FACTORS]
    stages = [
        {"name": "head", "epochs": 1, "train": "head", "lr": 0.01},
        {"name": "all", "epochs": 2, "lr": 3e-3, "lr_decay": 0.5, "schedule": "one_cycle"},
    ]
    arguments: dict[str, dict[str, Any]] = {"model": {}, "data": {}, "trainer": {}}
    callbacks: list[pl.Callback] = []
    kind = lr.ImageClassifier
    for level in levels:
        kind = level.module if level.module is not lr.ImageClassifier else kind
        for part, changed in (("model", level.model), ("data", level.data), ("trainer", level.trainer)):
            arguments[part] |= changed
        stages[0] |= level.head
        stages[1] |= level.every
        stages += [dict(level.last)] if level.last else []
        callbacks += [make() for make in level.callbacks]
        if level.fp16:
            arguments["trainer"]["plugins"] = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))]
    for stage in stages:
        if stage.get("cache_features") and not stage.get("feature_views"):
            stage["augment"] = "none"
    pl.seed_everything(1, verbose=False)
    data = lr.ImageDataModule("sklearn:digits", **{**DATA, **arguments["data"]})
    torch.manual_seed(1)
    network = {"pretrained": False, "backbone_kwargs": {"drop_path_rate": 0.2}, "class_counts": data.class_counts}
    module = kind("test_resnet", 10, **{**network, **arguments["model"]})
    plan = lr.Stages([lr.Stage(**stage) for stage in stages])  # type: ignore[arg-type]
    settings = {**QUIET, "enable_checkpointing": True, **arguments["trainer"], **options}
    trainer = pl.Trainer(**settings, max_epochs=-1, default_root_dir=folder, callbacks=[plan, *callbacks, *more])
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path)
    return trainer, weights_sha256(module)


def data_of(recipe: Recipe) -> lr.ImageDataModule:
    """The data module of a recipe, new."""
    changed = {key: value for name, level in recipe.items() for key, value in FACTORS[name][level].data.items()}
    return lr.ImageDataModule("sklearn:digits", **{**DATA, **changed})


# Not 16 px: where a convolution with stride 2 meets a map of one pixel, torch's bf16 weight gradient on a CPU with AMX
# holds whatever was in the memory, so that no two runs are alike.
DATA: dict[str, Any] = {
    "val_fraction": 0.02, "images_per_class": 4, "image_size": 32, "batch_size": 10, "num_workers": 0,
}  # fmt: skip


def uses(recipes: Sequence[Recipe]) -> set[Pair]:
    return set().union(*(pairs_of(recipe) for recipe in recipes))
