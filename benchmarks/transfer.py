"""Fine-tuning by fixed recipes on many sets: which numbers are good wherever they are used.

Every set, recipe and seed is one training, whose accuracy and macro F1 on the validation images are one row of a table
(``transfer.csv`` beside this file). Rows that are there are not made again, so it may be stopped and gone on with.

    python benchmarks/transfer.py --cifar10 cifar10.zip --ants_bees ants_bees.zip --clothing clothing.zip \
        --weights mobilenetv2_100.safetensors [--sets ants_bees drawn] [--recipes old head] [--seeds 0 1 2]
    python benchmarks/transfer.py --report old

The rows so far: two processes of one thread each, torch 2.15. Such two (``--share 0/2`` and ``--share 1/2``) make more
rows an hour than one of two threads.
"""

import argparse
import csv
import fcntl
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from measuring import mean_and_half, start
from transfer_sets import SETS, Sources, prepared

import lightning_recipes as lr

TABLE = Path(__file__).with_name("transfer.csv")
COLUMNS = ("set", "recipe", "seed", "accuracy", "f1", "loss", "seconds", "epochs")
QUIET: dict[str, Any] = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    "num_sanity_val_steps": 0, "max_epochs": -1,
}  # fmt: skip
Row = dict[str, str]


@dataclass(frozen=True)
class Recipe:
    """What is trained.

    Attributes:
        stages: In their order.
        model: Arguments of the classifier, beside those that the set gives.
        callbacks: Made anew for each training: a class and its arguments.
        augment: Policy, with or without the flip as the set says.
        data: Other arguments of the data module than the set's.
    """

    stages: Sequence[lr.Stage]
    model: dict[str, Any] = field(default_factory=dict)
    callbacks: Sequence[tuple[type[pl.Callback], dict[str, Any]]] = ()
    augment: str = "light"
    data: dict[str, Any] = field(default_factory=dict)


HEAD = lr.Stage("head", epochs=20, train="head", lr=3e-3, schedule="cosine", cache_features=True)


def then(rate: float, decay: float = 0.7, **length: int) -> list[lr.Stage]:
    """The head on cached features, then all layers."""
    return [HEAD, lr.Stage("all", lr=rate, lr_decay=decay, schedule="one_cycle", **length)]  # type: ignore[arg-type]


def world_class(rate: float) -> list[lr.Stage]:
    """The stages of the recipe of that name, with a rate for all layers."""
    cycles = {"name": "warm_restarts", "cycle_epochs": 1}
    return [
        lr.Stage("first_look", epochs=2, train="head", cache_features=True),
        lr.Stage("head", epochs=2, train="head", schedule={**cycles, "cycle_mult": 1}),
        lr.Stage("all", epochs=3, lr=rate, lr_decay=0.5, schedule={**cycles, "cycle_mult": 2}),
    ]


FIXED = {"freeze_norm_stats": True}
RECIPES: dict[str, Recipe] = {
    "old": Recipe(then(1e-4, 0.5, epochs=2), FIXED),  # the finetune recipe of 0.1.0
    "head": Recipe([HEAD], FIXED),
    "head_300_steps": Recipe([replace(HEAD, epochs=0, steps=300)], FIXED),
    "head_600_steps": Recipe([replace(HEAD, epochs=0, steps=600)], FIXED),
    "5_3e-4": Recipe(then(3e-4, epochs=5), FIXED),
    "5_1e-3": Recipe(then(1e-3, epochs=5), FIXED),
    "10_1e-3": Recipe(then(1e-3, epochs=10), FIXED),
    "10_3e-3": Recipe(then(3e-3, epochs=10), FIXED),
    "20_1e-3": Recipe(then(1e-3, epochs=20), FIXED),
    "300_steps_1e-3": Recipe(then(1e-3, steps=300), FIXED),
    "300_steps_3e-4": Recipe(then(3e-4, steps=300), FIXED),
    "300_steps_3e-3": Recipe(then(3e-3, steps=300), FIXED),
    "30_steps_1e-3": Recipe(then(1e-3, steps=30), FIXED),
    "30_steps_3e-4": Recipe(then(3e-4, steps=30), FIXED),
    "30_steps_1e-4": Recipe(then(1e-4, steps=30), FIXED),
    "100_steps_1e-3": Recipe(then(1e-3, steps=100), FIXED),
    "100_steps_3e-4": Recipe(then(3e-4, steps=100), FIXED),
    "600_steps_1e-3": Recipe(then(1e-3, steps=600), FIXED),
    "1000_steps_1e-3": Recipe(then(1e-3, steps=1000), FIXED),
    "300_steps_no_decay": Recipe(then(1e-3, 1.0, steps=300), FIXED),
    "300_steps_free_norm": Recipe(then(1e-3, steps=300)),
    "300_steps_ema": Recipe(then(1e-3, steps=300), FIXED, [(lr.EMA, {"decay": 0.98})]),
    "300_steps_smoothing": Recipe(
        then(1e-3, steps=300), {**FIXED, "loss": {"name": "cross_entropy", "label_smoothing": 0.1}}
    ),
    "300_steps_medium": Recipe(then(1e-3, steps=300), FIXED, augment="medium"),
    "300_steps_balance": Recipe(then(1e-3, steps=300), FIXED, data={"balance": True}),
    "300_steps_flip": Recipe(then(1e-3, steps=300), FIXED, data={"augment": "light"}),
    "300_steps_mixup": Recipe(then(1e-3, steps=300), FIXED, [(lr.Mixing, {})]),
    "one_stage": Recipe([lr.Stage("all", lr=1e-3, lr_decay=0.7, schedule="one_cycle", steps=300)], FIXED),
    "gradual": Recipe(
        [
            HEAD,
            lr.Stage("last", steps=100, train=3, lr=1e-3, lr_decay=0.7, schedule="one_cycle"),
            lr.Stage("all", steps=200, lr=1e-3, lr_decay=0.7, schedule="one_cycle"),
        ],
        FIXED,
    ),
    "sgd": Recipe(
        [HEAD, lr.Stage("all", steps=300, lr=0.01, schedule="one_cycle")],
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}, "weight_decay": 2e-5},
    ),  # the optimizer of timm's script, at a rate for fine-tuning
    **{
        f"world_class_{rate:g}": Recipe(world_class(rate), {"lr": 2e-3, **FIXED}, data={"batch_size": 16})
        for rate in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    },  # the stages of configs/world_class.yaml at nine rates of the last of them
}


def train(
    name: str, recipe: Recipe, seed: int, sources: Sources, folder: Path, accelerator: str = "cpu"
) -> dict[str, Any] | None:
    """Return the numbers of one training, judged after its last epoch; None where the set cannot be made."""
    made = prepared(name, sources, folder)
    if made is None:
        return None
    began = time.perf_counter()
    pl.seed_everything(seed, verbose=False)
    own = made[0].get("augment", {})
    data = lr.ImageDataModule(**{**made[0], "augment": {**own, "name": recipe.augment}, **recipe.data})
    model = lr.ImageClassifier(num_classes=data.num_classes, class_counts=data.class_counts, **made[1], **recipe.model)
    stages = lr.Stages(list(recipe.stages))
    callbacks = [stages, *(kind(**options) for kind, options in recipe.callbacks)]
    trainer = pl.Trainer(callbacks=callbacks, check_val_every_n_epoch=10_000, accelerator=accelerator, **QUIET)
    trainer.fit(model, datamodule=data)
    seconds = time.perf_counter() - began
    with model.evaluated_weights():
        (found,) = trainer.validate(model, datamodule=data, verbose=False)
    numbers = {"accuracy": found["val_accuracy"], "f1": found["val_f1"], "loss": found["val_loss"]}
    rounded = {key: round(value, 4) for key, value in numbers.items()}
    return {**rounded, "seconds": round(seconds, 1), "epochs": sum(model.stage_epochs)}


def rows(table: Path) -> list[Row]:
    """Return what is in a table."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def add(table: Path, row: dict[str, Any], columns: Sequence[str] = COLUMNS) -> None:
    """Add a row; several processes may at once."""
    with table.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def report(table: Path, base: str) -> None:
    """Print each recipe's accuracy on each set, and its difference to one of them: paired by seed, 95 % interval."""
    found: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows(table):
        found[row["set"], row["recipe"]][row["seed"]] = row
    for name in SETS:
        known = {recipe: by_seed for (of, recipe), by_seed in found.items() if of == name}
        if not known:
            continue
        print(f"\n{name}")
        for recipe, by_seed in sorted(known.items(), key=lambda one: -_mean(one[1], "accuracy")):
            seeds = [seed for seed in by_seed if seed in known.get(base, {})]
            line = f"  {recipe:20} {_mean(by_seed, 'accuracy'):.3f}  f1 {_mean(by_seed, 'f1'):.3f}"
            line += f"  {_mean(by_seed, 'seconds'):6.0f} s  {len(by_seed)} seeds"
            if recipe != base and seeds:
                pairs = [float(by_seed[s]["accuracy"]) - float(known[base][s]["accuracy"]) for s in seeds]
                mean, half = mean_and_half(pairs)
                line += f"  to {base} {mean:+.3f}" + (f" +- {half:.3f}" if len(pairs) > 1 else "")
            print(line)


def error_left(table: Path, recipe: str, of: str = "head") -> tuple[float, ...]:
    """Return which share of another recipe's validation error is left: quartiles over sets, each the mean of its seeds.

    Args:
        table: Of the rows.
        recipe: Whose error.
        of: The other, trained with the same seeds.
    """
    errors = {(row["set"], row["seed"], row["recipe"]): 1 - float(row["accuracy"]) for row in rows(table)}
    shares = defaultdict(list)
    for (name, seed, one), error in errors.items():
        if one == recipe and (name, seed, of) in errors:
            shares[name].append(error / errors[name, seed, of])
    return tuple(statistics.quantiles(map(statistics.fmean, shares.values()), n=4, method="inclusive"))


def _mean(by_seed: dict[str, Row], column: str) -> float:
    return statistics.fmean(float(row[column]) for row in by_seed.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Sources.add_arguments(parser)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--share", default="0/1", help="which of so many processes this is")
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--report", metavar="RECIPE", help="train nothing; compare with this one")
    options = parser.parse_args()
    if options.report:
        report(options.table, options.report)
        return
    start()
    share, of = map(int, options.share.split("/"))
    torch.set_num_threads(max(1, torch.get_num_threads() // of))
    sources = Sources.of(options)
    wanted = [(s, r, seed) for seed in options.seeds for s in options.sets for r in options.recipes]
    for number, (name, recipe, seed) in enumerate(wanted):
        known = {(row["set"], row["recipe"], row["seed"]) for row in rows(options.table)}
        if number % of != share or (name, recipe, str(seed)) in known:
            continue
        numbers = train(name, RECIPES[recipe], seed, sources, options.folder, options.accelerator)
        if numbers is not None:
            row = {"set": name, "recipe": recipe, "seed": seed, **numbers}
            add(options.table, row)
            print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
