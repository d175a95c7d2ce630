"""What grows with the images, the classes, the size of an image and the workers, each alone.

python benchmarks/growth.py
python benchmarks/growth.py --images 1000 10000 100000 1000000 --classes 10 1000 20000
"""

import argparse
import io
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
from callback_cost import InMemory
from measuring import QUIET, spread, start
from PIL import Image

from lightning_recipes import ImageClassifier, ImageDataModule


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def zip_of(images: int, folder: Path) -> Path:
    """An archive of so many small JPEGs in ten classes, stored."""
    encoded, path = io.BytesIO(), folder / f"{images}.zip"
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((32, 32)).save(encoded, "JPEG")
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(images):
            archive.writestr(f"{number % 10}/{number}.jpg", encoded.getvalue())
    return path


def opened(images: int, rounds: int) -> list[float]:
    """Seconds from the archive to the splits, heads read."""
    with tempfile.TemporaryDirectory() as folder:
        path = zip_of(images, Path(folder))
        return [seconds(lambda: ImageDataModule(str(path)).opened) for _ in range(rounds)]


def step(classes: int, options: argparse.Namespace) -> float:
    """Milliseconds of a training step."""
    batch = argparse.Namespace(batches=options.steps, warm_up=0, batch_size=32, image_size=32)
    model = ImageClassifier("test_resnet", classes, pretrained=False)
    trainer = pl.Trainer(max_epochs=1, limit_val_batches=0, **QUIET)
    trainer.fit(model, InMemory(batch))  # warm up, and Lightning's own start
    begun = seconds(lambda: pl.Trainer(max_epochs=1, limit_val_batches=0, **QUIET).fit(model, InMemory(batch)))
    return 1000 * begun / options.steps


def loaded(size: int, workers: int) -> float:
    """Images a second of the training loader, its second epoch."""
    data = ImageDataModule("sklearn:digits", image_size=size, batch_size=32, num_workers=workers, augment="light")
    loader = data.train_dataloader()
    for _ in loader:
        pass
    return 32 * len(loader) / seconds(lambda: [None for _ in loader])


def show(name: str, values: list[float], unit: str) -> None:
    found = spread(values)
    print(f"{name}: {found['median']:.4g} [{found['lowest']:.4g}..{found['highest']:.4g}] {unit}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--classes", type=int, nargs="*", default=[10, 1000, 20_000])
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 64, 128, 224])
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    start()
    for images in options.images:
        show(f"{images:,} images in a zip are open after", opened(images, options.rounds), "s")
    for classes in options.classes:
        name = f"a step of test_resnet with {classes:,} classes, batches of 32"
        show(name, [step(classes, options) for _ in range(options.rounds)], "ms")
    for size in options.sizes:
        show(f"the loader at {size} px", [loaded(size, 0) for _ in range(options.rounds)], "images/s")
    for workers in options.workers:
        name = f"the loader at 64 px with {workers} workers"
        show(name, [loaded(64, workers) for _ in range(options.rounds)], "images/s")


if __name__ == "__main__":
    main()
