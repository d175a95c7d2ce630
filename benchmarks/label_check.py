"""How many wrong training labels the label check finds, where some were flipped on purpose.

One training label in twenty is given to another class, drawn at random; the network trains on them, head first and
then all layers; then the labels are checked by confident learning with out-of-fold probabilities on its features.
Counted are the flipped ones among the first tenth of the training images by doubt.

    python benchmarks/label_check.py --ants_bees ants_bees.zip --weights mobilenetv2_100.safetensors

Without arguments: scikit-learn's digits alone, 40 of each class.
"""

import argparse
import csv
import dataclasses
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from measuring import start

from lightning_recipes import ErrorAnalysis, ImageClassifier, ImageDataModule, Stage, Stages
from lightning_recipes.data.sources.source import Subset

QUIET: dict[str, Any] = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}  # fmt: skip


class Flipped(ImageDataModule):
    """Gives a share of the training labels to another class."""

    share, draw = 0.05, 0

    @cached_property
    def opened(self) -> Any:
        opened = super().opened
        train = Subset(opened.splits.train, np.arange(len(opened.splits.train)))
        generator = np.random.default_rng(self.draw)
        self.flipped = generator.choice(len(train), round(self.share * len(train)), replace=False)
        classes = len(train.classes)
        train.labels[self.flipped] += generator.integers(1, classes, len(self.flipped))
        train.labels[self.flipped] %= classes
        return dataclasses.replace(opened, splits=dataclasses.replace(opened.splits, train=train))


def found(data: Flipped, model: dict[str, Any], folds: int) -> tuple[int, int, int]:
    """Flipped labels in the first tenth, flipped labels, and images."""
    pl.seed_everything(data.draw, verbose=False)
    module = ImageClassifier(num_classes=data.num_classes, freeze_norm_stats=True, **model)
    stages = [Stage("head", epochs=10, train="head", lr=3e-3, cache_features=True)]
    stages.append(Stage("all", epochs=2, lr=1e-4, lr_decay=0.5, schedule="one_cycle"))
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [Stages(stages), ErrorAnalysis(label_folds=folds)]
        pl.Trainer(max_epochs=-1, callbacks=callbacks, default_root_dir=folder, **QUIET).fit(module, datamodule=data)
        with (Path(folder) / "label_issues.csv").open() as file:
            rows = [row["path"] for row in csv.DictReader(file) if row["split"] == "train"]
    train = data.opened.splits.train
    wrong = {str(train.paths[i]) for i in data.flipped}
    return len(wrong & set(rows[: len(train) // 10])), len(wrong), len(train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ants_bees")
    parser.add_argument("--weights", default="mobilenetv2_100.safetensors")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    start()
    small: dict[str, Any] = {"root": "sklearn:digits", "images_per_class": 40, "image_size": 32}
    small["augment"] = {"name": "light", "flip": False}
    sets: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "digits, 40 a class": (small, {"backbone": "test_resnet", "pretrained": "embedded:letters"})
    }
    if options.ants_bees:
        mobile = {"backbone": "mobilenetv2_100", "backbone_kwargs": {"pad_type": "same"}, "pretrained": options.weights}
        sets["ants and bees, 128 px"] = ({"root": options.ants_bees, "image_size": 128}, mobile)
    for name, (data, model) in sets.items():
        hits = total = 0
        for draw in range(options.draws):
            module = Flipped(**data, batch_size=32, num_workers=0)
            module.draw = draw
            hit, wrong, images = found(module, model, options.folds)
            hits, total = hits + hit, total + wrong
            print(f"{name}: {hit} of {wrong} flipped labels in the first {images // 10} of {images} images", flush=True)
        print(f"{name}: {hits} of {total}, {hits / total:.0%}")


if __name__ == "__main__":
    main()
