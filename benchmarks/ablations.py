"""A short version of every recipe in ``configs/ablations``, and what each changes against the baseline.

The recipes as they are but for the network, the number of images and epochs, and the first size of batches, so that all
of them run on two cores. Same seeds and same validation images for all; differences to the baseline are paired by seed,
with 95 % intervals by Student's t over the seeds. A loss is that of the recipe, so other losses do not compare. Of
forty-five differences two or so are outside theirs by chance.

    python benchmarks/ablations.py --cifar10 cifar10.zip
    python benchmarks/ablations.py --cifar10 cifar10.zip --only ema mixup --epochs 30 --seeds 5

Without ``--cifar10``: scikit-learn's digits.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from measuring import QUIET, mean_and_half, start
from subset import unpack_subset

from lightning_recipes import ImageClassifier, ImageDataModule, Stage, Stages
from lightning_recipes.components import import_object

RECIPES = Path(__file__).parents[1] / "configs" / "ablations"
FULL_EPOCHS = 30


def callback(spec: dict[str, Any], options: argparse.Namespace) -> pl.Callback:
    arguments = spec.get("init_args", {})
    if spec["class_path"] == "lightning_recipes.Stages":
        stages = [Stage(**stage) for stage in arguments["stages"]]
        return Stages([shortened(stage, options) for stage in stages])
    made: pl.Callback = import_object("callbacks", spec["class_path"])(**arguments)
    return made


def shortened(stage: Stage, options: argparse.Namespace) -> Stage:
    scale = options.batch_size / 128
    values = {**vars(stage), "epochs": max(1, round(stage.epochs * options.epochs / FULL_EPOCHS))}
    if isinstance(stage.batch_size, int):
        values["batch_size"] = round(stage.batch_size * scale)
    return Stage(**values)


def train(name: str, seed: int, options: argparse.Namespace, root: str, folder: str) -> tuple[float, float, float]:
    """Validation accuracy, validation loss and seconds of a short version."""
    recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    pl.seed_everything(seed, verbose=False)
    of_set = {} if options.cifar10 else {"images_per_class": 40, "val_fraction": 0.5}
    batch_size = round(recipe["data"]["batch_size"] * options.batch_size / 128)
    loaders = {"root": root, "batch_size": batch_size, "eval_batch_size": 250, "num_workers": 0}
    data = ImageDataModule(**{**recipe["data"], **loaders, **of_set})
    network = {"backbone": options.backbone, "class_counts": data.class_counts}
    model = ImageClassifier(num_classes=data.num_classes, **{**recipe["model"], **network})
    callbacks = [callback(spec, options) for spec in recipe["trainer"].pop("callbacks")]
    # Early stopping and plateaus look at every epoch; the others are judged at the end alone.
    looks = any(hasattr(c, "detector") for c in callbacks)
    trainer = pl.Trainer(
        **recipe["trainer"], **QUIET, callbacks=callbacks, default_root_dir=folder, num_sanity_val_steps=0,
        check_val_every_n_epoch=1 if looks else options.epochs,
    )  # fmt: skip
    begin = time.perf_counter()
    trainer.fit(model, datamodule=data)
    seconds = time.perf_counter() - begin
    (figures,) = trainer.validate(model, datamodule=data, verbose=False)
    return figures["val_accuracy"], figures["val_loss"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10")
    parser.add_argument("--only", nargs="*", help="names of recipes")
    parser.add_argument("--train", type=int, default=100, help="images a class")
    parser.add_argument("--val", type=int, default=100, help="images a class")
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=32, help="in place of the recipes' 128; others in proportion")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    start()
    names = [path.stem for path in sorted(RECIPES.glob("*.yaml")) if path.stem != "baseline"]
    names = [name for name in names if not options.only or name in options.only]
    print(f"{options.backbone}, {options.epochs} epochs, {options.seeds} seeds, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        root = "sklearn:digits"
        if options.cifar10:
            root = str(Path(folder) / "images")
            unpack_subset(options.cifar10, Path(root), train=options.train, val=options.val)
        results: dict[str, list[tuple[float, float, float]]] = {}
        for name in ("baseline", *names):
            runs = [train(name, seed, options, root, folder) for seed in range(options.seeds)]
            results[name] = runs
            accuracy, loss, seconds = (statistics.fmean(column) for column in zip(*runs, strict=True))
            line = f"{name:>28}: accuracy {accuracy:.3f}, loss {loss:.3f}, {seconds:5.1f} s"
            if name != "baseline":
                pairs = list(zip(runs, results["baseline"], strict=True))
                (a, a_half), (b, b_half) = (mean_and_half([x[i] - y[i] for x, y in pairs]) for i in (0, 1))
                line += f"; to the baseline {a:+.3f} +- {a_half:.3f}, loss {b:+.3f} +- {b_half:.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
