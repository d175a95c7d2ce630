"""At which numbers of real images made ones help: a classifier of few digits, alone and with 1 and 5 made ones each.

The generator is trained on those few images alone and is kept as it is after its last step, so that it knows nothing of
the validation images; all classifiers take the same number of steps and are judged equally often. Writes data and runs
into ``--out``, and one comparison for each number.

python benchmarks/made_images.py --out made_images --real 5 10 20 --seeds 0 1 2
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lightning_recipes import ImageDataModule
from lightning_recipes.generation.generate import generate

SIDE, STEPS, VALIDATIONS, GAN_STEPS = 16, 300, 6, 1000
TIMES = (0, 1, 5)
QUIET = {"enable_progress_bar": False, "accelerator": "cpu", "logger": False, "num_sanity_val_steps": 0}


def fit(folder: Path, recipe: dict[str, Any]) -> None:
    """Train a recipe by the command, once."""
    if (folder / "summary.json").exists():
        return
    config = folder.with_name(f"{folder.name}.json")  # JSON is YAML
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "lightning_recipes", "fit", "--config", str(config), "--run_dir", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def train_gan(folder: Path, data: Path) -> Path:
    """Return the checkpoint of a generator that is trained on the training images of a folder."""
    images = len(list((data / "train").rglob("*.png")))
    epochs = GAN_STEPS // max(1, images // 50)
    ema = {"class_path": "lightning_recipes.EMA", "init_args": {"decay": 0.99, "every_n_steps": 1}}
    recipe = {
        "data": {"root": str(data), "image_size": SIDE, "channels": 1, "batch_size": 50, "augment": "none"}
        | {"num_workers": 0, "eval_batch_size": 256, "cache": "decoded"},
        "model": {"class_path": "lightning_recipes.ConditionalGAN", "init_args": {"shift": 0.125}},
        "trainer": QUIET | {"max_epochs": epochs, "check_val_every_n_epoch": epochs, "callbacks": [ema]},
    }
    fit(folder, recipe)
    return folder / "checkpoints" / "best.ckpt"  # of the only validation, after the last step


def train_classifier(folder: Path, data: Path, seed: int) -> None:
    """Train a small network from scratch."""
    epochs = STEPS // (len(list((data / "train").rglob("*.png"))) // 50)
    augment = {"name": "light", "crop": "centre", "flip": False, "rotate": 10.0, "shift": 0.06, "cutout": 0.0}
    recipe = {
        "seed_everything": seed,
        "data": {"root": str(data), "image_size": 32, "batch_size": 50, "augment": augment}
        | {"num_workers": 0, "eval_batch_size": 256, "cache": "decoded"},
        "model": {"backbone": "test_resnet", "pretrained": False, "lr": 3e-3, "schedule": "one_cycle"},
        "gradcam": {"images": 0},
        "trainer": QUIET | {"max_epochs": epochs, "check_val_every_n_epoch": epochs // VALIDATIONS},
    }
    fit(folder, recipe)


def write_split(data: ImageDataModule, split: str, folder: Path) -> None:
    """Write images of the digits as files, at the size that is made."""
    source = getattr(data.opened.splits, split)
    for number, label in enumerate(np.asarray(source.labels)):
        target = folder / split / data.classes[label] / f"real_{number:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.read(number)).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(target)


def with_made(real: Path, made: Path, times: int, folder: Path) -> None:
    """Write a data set whose training images are real and made ones."""
    shutil.copytree(real, folder)
    for path in made.glob("*/*.png") if times else ():
        shutil.copy(path, folder / "train" / path.parent.name / f"made_{path.name}")


def main() -> None:
    """Train generators and classifiers, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=int, nargs="+", default=[5, 10, 20], help="real training images of a class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the classifiers")
    asked = parser.parse_args()
    for count in asked.real:
        folder = asked.out / str(count)
        if not (folder / "real").exists():
            digits = ImageDataModule("sklearn:digits", val_fraction=0.5, images_per_class=count)
            for split in ("train", "val"):
                write_split(digits, split, folder / "real")
        checkpoint = train_gan(folder / "gan", folder / "real")
        for times in TIMES:
            data, made = folder / f"data_{times}", folder / f"made_{times}"
            if times and not made.exists():
                generate(str(checkpoint), str(made), images_per_class=times * count)
            if not data.exists():
                with_made(folder / "real", made, times, data)
            for seed in asked.seeds:
                train_classifier(folder / f"times_{times}" / str(seed), data, seed)
        runs = [str(folder / f"times_{times}") for times in TIMES]
        words = ["compare", *runs, "--against_first", "true", "--out", str(folder / "comparison")]
        print(f"{count} real images of a class", flush=True)
        subprocess.run([sys.executable, "-m", "lightning_recipes", *words], check=False)


if __name__ == "__main__":
    main()
