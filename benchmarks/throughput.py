"""Images per second of a fit against a hand-written PyTorch loop that does the same work, as a ratio in one run.

The three stages that a transfer has: the head on a frozen backbone, the head on cached features, and all layers. Both
sides see the same images in the same order, the same augmentation, optimizer, schedule and modes; the loop leaves out
what a framework adds: metrics, logging, seeding of each step, callbacks.

    python benchmarks/throughput.py                               # digits at 64 px, ResNet-18
    python benchmarks/throughput.py --root ants_bees.zip --backbone mobilenetv2_100 --image_size 224 --batches 6
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from measuring import start
from torch import nn

from lightning_recipes import ImageClassifier, ImageDataModule, Stage, Stages
from lightning_recipes.data.batch import Features
from lightning_recipes.data.loading.train_loader import TrainLoader

STAGES = {
    "frozen": Stage("frozen", epochs=1, train="head", lr=1e-3, augment="light"),
    "cached": Stage("cached", epochs=1, train="head", lr=1e-3, cache_features=True),
    "unfrozen": Stage("unfrozen", epochs=1, train="all", lr=1e-3, augment="light"),
}


class Clock(pl.Callback):
    """Seconds from the first batch asked for to the last one done, without validation."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds = time.perf_counter() - self.start


def make(options: argparse.Namespace) -> tuple[ImageClassifier, ImageDataModule]:
    pl.seed_everything(0, verbose=False)
    data = ImageDataModule(options.root, image_size=options.image_size, batch_size=options.batch_size, num_workers=0)
    model = ImageClassifier(options.backbone, data.num_classes, pretrained=False, image_size=options.image_size)
    return model, data


def fit(stage: Stage, options: argparse.Namespace) -> tuple[float, int]:
    """Seconds and images of an epoch of ours."""
    model, data = make(options)
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=1,
        callbacks=[Stages([stage]), clock],
        limit_train_batches=options.batches,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    return clock.seconds, trainer.global_step * options.batch_size


def by_hand(stage: Stage, options: argparse.Namespace) -> tuple[float, int]:
    """Seconds and images of an epoch of a plain loop over the same loader."""
    model, data = make(options)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    model.apply_stage(stage)
    loader = data.train_dataloader()
    if stage.cache_features:
        loader = cached(model, data, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=options.batches)
    criterion, images, start = nn.CrossEntropyLoss(), 0, time.perf_counter()
    for number, batch in enumerate(loader):
        if number == options.batches:
            break
        inputs, labels = batch[0].to(device), batch[1].to(device)
        logits = model.head(inputs) if isinstance(batch, Features) else model.head(model.backbone(inputs))
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        images += len(labels)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, images


def cached(model: ImageClassifier, data: ImageDataModule, device: torch.device) -> TrainLoader:
    """The loader of stored features, as the data module makes it."""
    settings = data.settings_of(STAGES["cached"])

    def extract(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return model.backbone(images.to(device)).float().cpu()  # type: ignore[no-any-return]

    data.feature_extractor = extract
    return data._make_train_loader(settings, None)


def rate(measure: Callable[[Stage, argparse.Namespace], tuple[float, int]], stage: Stage, options: Any) -> float:
    seconds, images = measure(stage, options)
    return images / seconds


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What says which steps are taken; of each script that takes these."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="sklearn:digits")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def main() -> None:
    options = parser_of(__doc__).parse_args()
    start()
    threads = torch.get_num_threads()
    print(f"{options.backbone}, {options.image_size} px, batches of {options.batch_size}, {threads} threads")
    for name, stage in STAGES.items():
        fit(stage, options), by_hand(stage, options)  # warm up
        pairs = [(rate(fit, stage, options), rate(by_hand, stage, options)) for _ in range(options.rounds)]
        ratios = sorted(ours / theirs for ours, theirs in pairs)
        ours, theirs = (sorted(column)[len(pairs) // 2] for column in zip(*pairs, strict=True))
        print(
            f"{name:>9}: fit {ours:8.1f} images/s, by hand {theirs:8.1f} images/s, "
            f"ratio {ratios[len(ratios) // 2]:.3f} [{ratios[0]:.3f}..{ratios[-1]:.3f}] of {len(ratios)} pairs"
        )


if __name__ == "__main__":
    main()
