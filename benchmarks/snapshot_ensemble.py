"""A snapshot ensemble against the last snapshot of the same training, over several seeds.

A subset of CIFAR-10 sized for two cores, or any folder of class folders: cycles of warm restarts from scratch, then the
mean of what the snapshots predict. Differences are paired by seed; intervals are 95 % by Student's t over the seeds.

    python benchmarks/snapshot_ensemble.py --cifar10 cifar10.zip
    python benchmarks/snapshot_ensemble.py --cifar10 cifar10.zip --train 5000 --val 1000 --cycles 6 --cycle_epochs 50

Without arguments: scikit-learn's digits.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from measuring import mean_and_half, start
from subset import unpack_subset

from lightning_recipes import ImageClassifier, ImageDataModule, SnapshotEnsemble


def train(options: argparse.Namespace, root: str, seed: int, folder: str) -> dict[str, Any]:
    """What ``snapshots/ensemble.json`` says of one run."""
    pl.seed_everything(seed, verbose=False)
    flips = {"augment": {"name": "light", "crop": "padded", "flip": options.cifar10 is not None, "cutout": 0.0}}
    data = ImageDataModule(
        root, image_size=32, batch_size=options.batch_size, eval_batch_size=200, num_workers=options.num_workers,
        mean=[0.5] * 3, std=[0.25] * 3, images_per_class=None if options.cifar10 else 40, val_fraction=0.5, **flips,
    )  # fmt: skip
    model = ImageClassifier(
        options.backbone, data.num_classes, pretrained=False, lr=options.lr, weight_decay=5e-4,
        optimizer={"name": "sgd", "momentum": 0.9},
        schedule={"name": "warm_restarts", "cycle_epochs": options.cycle_epochs, "cycle_mult": 1},
    )  # fmt: skip
    ensemble = SnapshotEnsemble()
    trainer = pl.Trainer(
        max_epochs=options.cycles * options.cycle_epochs, callbacks=[ensemble], default_root_dir=folder,
        check_val_every_n_epoch=options.cycle_epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    assert ensemble.result is not None
    return ensemble.result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10")
    parser.add_argument("--train", type=int, default=100, help="images a class")
    parser.add_argument("--val", type=int, default=200, help="images a class")
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--cycles", type=int, default=4)
    parser.add_argument("--cycle_epochs", type=int, default=30)
    parser.add_argument("--batch_size", type=int, default=50)
    parser.add_argument("--num_workers", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    start()
    print(
        f"{options.backbone}, {options.cycles} cycles of {options.cycle_epochs} epochs, "
        f"{torch.get_num_threads()} threads"
    )
    results = []
    with tempfile.TemporaryDirectory() as folder:
        root = "sklearn:digits"
        if options.cifar10:
            root = str(Path(folder) / "images")
            unpack_subset(options.cifar10, Path(root), train=options.train, val=options.val)
        for seed in range(options.seeds):
            result = train(options, root, seed, str(Path(folder) / str(seed)))
            results.append(result)
            last, whole = result["last"][0], result["last"][-1]
            soup, best = result["soup"]["accuracy"], max(row["accuracy"] for row in result["single"])
            print(
                f"  seed {seed}: last snapshot {last['accuracy']:.4f} [{last['ci95'][0]:.3f}..{last['ci95'][1]:.3f}], "
                f"ensemble of {len(result['members'])} {whole['accuracy']:.4f} "
                f"[{whole['ci95'][0]:.3f}..{whole['ci95'][1]:.3f}], "
                f"best snapshot {best:.4f}, mean of weights {soup:.4f}",
                flush=True,
            )
    for key in ("accuracy", "loss"):
        mean, half = mean_and_half([r["last"][-1][key] - r["last"][0][key] for r in results])
        print(f"  ensemble to last snapshot, {key}: {mean:+.4f} +- {half:.4f}")


if __name__ == "__main__":
    main()
