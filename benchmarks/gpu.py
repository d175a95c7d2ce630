"""What a GPU is kept busy with: steps of ``fit`` against a hand-written loop, callbacks, the loader, and a fine-tuning.

    python benchmarks/gpu.py [--images ants_bees.zip --weights mobilenetv2_100.safetensors] [--out gpu.json]

Without network; on a CPU it runs as well, which is for its test alone. Batches of the first two lie on the device, so
that they are bound by the step. Each ratio is of pairs taken in turns: median [lowest..highest].
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from callback_cost import CALLBACKS, TOGETHER, InMemory
from measuring import paired, show_pair, start
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lightning_recipes as lr

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
QUIET: dict[str, Any] = {
    "accelerator": "gpu" if CUDA else "cpu", "devices": 1, "logger": False, "enable_checkpointing": False,
    "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0,
}  # fmt: skip
# StochasticDepth begins with less of it than the model has, which is no cost.
AT_ONCE = [name for name in TOGETHER if name != "StochasticDepth"]
PARTS = ("step", "callbacks", "loader", "finetune")


def synchronize() -> None:
    """Wait until the device has done what it was given."""
    if CUDA:
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds of some work on the device."""
    synchronize()
    begin = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - begin


class Clock(pl.Callback):
    """Seconds from the step after the warm-up to the last one."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.warm_up:
            synchronize()
            self.begin = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronize()
        self.seconds = time.perf_counter() - self.begin


def classifier(backbone: str, *, compiled: bool = False) -> lr.ImageClassifier:
    pl.seed_everything(0, verbose=False)
    last = not backbone.startswith(("vit", "test_vit"))
    drops = {"drop_path_rate": 0.1}
    return lr.ImageClassifier(
        backbone, 10, pretrained=False, backbone_kwargs=drops, channels_last=last, compile=compiled
    )


def fitted(backbone: str, options: argparse.Namespace, *callbacks: pl.Callback, compiled: bool = False) -> float:
    """Images per second of ``fit``."""
    clock, data = Clock(options.warm_up), InMemory(options, DEVICE)
    trainer = pl.Trainer(max_epochs=1, precision=options.precision, callbacks=[*callbacks, clock], **QUIET)
    trainer.fit(classifier(backbone, compiled=compiled), data)  # type: ignore[arg-type]
    return options.batches * options.batch_size / clock.seconds


def by_hand(backbone: str, options: argparse.Namespace, *, compiled: bool = False) -> float:
    """Images per second of a loop that does the same work, and nothing else."""
    model, data = classifier(backbone, compiled=compiled).to(DEVICE).train(), InMemory(options, DEVICE)
    if compiled:
        model.backbone.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=len(data))
    criterion, kind = nn.CrossEntropyLoss(), torch.bfloat16 if "bf16" in options.precision else torch.float32
    begin = 0.0
    for number, batch in enumerate(data):
        if number == options.warm_up:
            synchronize()
            begin = time.perf_counter()
        with torch.autocast(DEVICE.type, kind, enabled=kind is not torch.float32):
            loss = criterion(model.head(model.features(batch.images)), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    synchronize()
    return options.batches * options.batch_size / (time.perf_counter() - begin)  # type: ignore[no-any-return]


def operations(backbone: str, options: argparse.Namespace) -> float:
    """Floating-point operations of an image, there and back."""
    model = classifier(backbone).to(DEVICE)
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 3, options.image_size, options.image_size, device=DEVICE)).sum().backward()
    return counter.get_total_flops() / 2


def peak(side: int) -> float:
    """Operations a second of a product of two square matrices in bfloat16."""
    a, b = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    seconds_of(lambda: a @ b)
    return 2 * side**3 / min(seconds_of(lambda: a @ b) for _ in range(10))


def loader_rate(options: argparse.Namespace, workers: int) -> float:
    """Images per second that the training loader gives at the size of the benchmark, without a step."""
    data = lr.ImageDataModule(
        options.images, image_size=options.image_size, batch_size=32, num_workers=workers, augment="light"
    )
    loader = data.train_dataloader()
    seen, begin = 0, 0.0
    for epoch in range(1 + options.epochs):
        if epoch == 1:
            seen, begin = 0, time.perf_counter()
        seen += sum(len(batch[1]) for batch in loader)
    rate = seen / (time.perf_counter() - begin)
    data.teardown("fit")
    return rate


def finetuned(options: argparse.Namespace) -> dict[str, float]:
    """Seconds and accuracy of the stages of ``configs/finetune.yaml``."""
    pl.seed_everything(0, verbose=False)
    data = lr.ImageDataModule(options.images, image_size=options.image_size, mean=[0.5] * 3, std=[0.5] * 3)
    model = lr.ImageClassifier(
        "mobilenetv2_100", data.num_classes, pretrained=options.weights, backbone_kwargs={"pad_type": "same"},
        freeze_norm_stats=True,
    )  # fmt: skip
    recipe = yaml.safe_load((Path(__file__).parents[1] / "configs" / "finetune.yaml").read_text())
    (callback,) = recipe["trainer"]["callbacks"]
    head, every = (lr.Stage(**stage) for stage in callback["init_args"]["stages"])
    stages = lr.Stages([head, replace(every, steps=options.finetune_steps)])
    options_of = {**QUIET, "limit_val_batches": None, "check_val_every_n_epoch": 10_000, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(callbacks=[stages], max_epochs=-1, precision=options.precision, **options_of)
    seconds = seconds_of(lambda: trainer.fit(model, datamodule=data))
    (found,) = trainer.validate(model, datamodule=data, verbose=False)
    return {"seconds": seconds, "val_accuracy": found["val_accuracy"]}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every number, printed as it comes."""
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if CUDA else f"{os.cpu_count()} CPU cores",
        "torch": torch.__version__, "precision": options.precision, "batch_size": options.batch_size,
        "image_size": options.image_size,
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in found.items()))
    found["peak_tflops"] = peak(options.side) / 1e12
    print(f"product of two bf16 matrices: {found['peak_tflops']:.0f} TFLOP/s", flush=True)
    for backbone in options.backbones if "step" in options.parts else ():
        per_image = operations(backbone, options)
        for compiled in (False, True) if options.compile else (False,):
            rates = paired(
                options.rounds,
                lambda b=backbone, c=compiled: fitted(b, options, compiled=c),  # type: ignore[misc]
                lambda b=backbone, c=compiled: by_hand(b, options, compiled=c),  # type: ignore[misc]
            )
            rates["share_of_peak"] = rates["ours"]["median"] * per_image / (1e12 * found["peak_tflops"])
            name = f"{backbone}{', compiled' if compiled else ''}"
            found[name] = rates
            show_pair(
                f"{name}: fit to a loop by hand", rates, "images/s", f", {rates['share_of_peak']:.0%} of that product"
            )
    small = argparse.Namespace(**{**vars(options), **options.small})
    fits = (("large", options, options.backbones[0]), ("small", small, options.small_backbone))
    for name, of, each in fits if "callbacks" in options.parts else ():
        rates = paired(
            options.rounds,
            lambda o=of, e=each: fitted(e, o, *(CALLBACKS[one]() for one in AT_ONCE)),  # type: ignore[misc]
            lambda o=of, e=each: fitted(e, o),  # type: ignore[misc]
        )
        found[f"callbacks_{name}"] = rates
        show_pair(f"{each}, {of.batch_size} of {of.image_size} px: {len(AT_ONCE)} callbacks to none", rates, "images/s")
    for workers in options.workers if options.images and "loader" in options.parts else ():
        found[f"loader_{workers}"] = loader_rate(options, workers)
        print(f"loader, {workers} workers: {found[f'loader_{workers}']:.0f} images/s", flush=True)
    if options.images and options.weights and "finetune" in options.parts:
        found["finetune"] = numbers = finetuned(options)
        print(f"finetune: {numbers['seconds']:.0f} s, val_accuracy {numbers['val_accuracy']:.3f}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="*", default=["resnet50", "vit_small_patch16_224"])
    parser.add_argument("--small_backbone", default="resnet18")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--steps", dest="batches", type=int, default=40)
    parser.add_argument("--warm_up", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    parser.add_argument(
        "--small", type=json.loads, default={"image_size": 64, "batch_size": 128}, help="of the callbacks"
    )
    parser.add_argument("--compile", action="store_true", help="each backbone compiled as well")
    parser.add_argument("--images", help="folder or zip of photographs, for the loader and the fine-tuning")
    parser.add_argument("--weights", help="of mobilenetv2_100, normalised by 0.5")
    parser.add_argument("--workers", type=int, nargs="*", default=[8, 15])
    parser.add_argument("--epochs", type=int, default=5, help="of the loader")
    parser.add_argument("--finetune_steps", type=int, default=300)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start()
    found = measure(options)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
