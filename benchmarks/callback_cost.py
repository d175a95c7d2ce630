"""What each callback costs, as a share of the training step that it is part of.

Every hook of a callback is timed within a fit: its share is the time in its hooks over the time of the whole steps, so
both are of the same run and the noise of the machine is in both. The images lie in memory: loading them is no part of
the step. ``all together`` has every callback in one fit; the last line sets such fits against fits without any, in
turns, as a check from outside.

    python benchmarks/callback_cost.py                 # ResNet-18, 64 px, batches of 32
    python benchmarks/callback_cost.py --batches 100 --rounds 5
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from measuring import start
from torch.utils.data import DataLoader

import lightning_recipes as lr
from lightning_recipes.data.batch import Batch

CALLBACKS: dict[str, Callable[[], pl.Callback]] = {
    "EMA": lr.EMA,
    "EMA, every step": lambda: lr.EMA(every_n_steps=1),
    "GradientClipping, norm 1": lambda: lr.GradientClipping("norm", 1.0),
    "GradientClipping, never reached": lambda: lr.GradientClipping("norm", 1e6),
    "GradientClipping, value": lambda: lr.GradientClipping("value", 5.0),
    "GradientClipping, adaptive": lambda: lr.GradientClipping("adaptive", 0.01),
    "L1": lr.L1,
    "MaxNorm": lambda: lr.MaxNorm(3.0),
    "ActivationRegularization": lr.ActivationRegularization,
    "Mixing": lambda: lr.Mixing(0.2, 1.0),
    "StochasticDepth": lr.StochasticDepth,
    "EarlyStopping": lambda: lr.EarlyStopping("train_loss"),
    "OnPlateau": lambda: lr.OnPlateau(monitor="train_loss"),
    "MicroBatches": lambda: lr.MicroBatches(1, trial=False),
    "Lookahead": lr.Lookahead,
    "GradientNoise": lr.GradientNoise,
    "TrainingDoctor": lr.TrainingDoctor,
}
TOGETHER = ["EMA", "GradientClipping, norm 1", "L1", "MaxNorm", "ActivationRegularization", "Mixing", "StochasticDepth"]
TOGETHER += ["EarlyStopping", "OnPlateau", "MicroBatches"]
EVERY_STEP = ("on_train_batch_start", "on_before_backward", "on_before_optimizer_step", "on_train_batch_end")
INSIDE = ("mixed", "penalty", "_see", "_after_step")  # what callbacks have others call within a step


class Timer:
    """Adds up the seconds in a callback's hooks."""

    def __init__(self, callback: pl.Callback) -> None:
        self.seconds = 0.0
        for name in (*EVERY_STEP, *INSIDE):
            if name in vars(type(callback)):
                setattr(callback, name, self.timed(getattr(callback, name)))

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - begin

        return call


class Clock(pl.Callback):
    """Starts all timers when so many steps have warmed up, and stops the clock after the last."""

    def __init__(self, warm_up: int, timers: list[Timer]) -> None:
        self.warm_up, self.timers, self.seconds = warm_up, timers, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.warm_up:
            self.begin = time.perf_counter()
            for timer in self.timers:
                timer.seconds = 0.0
        self.seconds = time.perf_counter() - self.begin if trainer.global_step > self.warm_up else 0.0


class InMemory:
    """The same batch again and again."""

    def __init__(self, options: argparse.Namespace, device: torch.device | str = "cpu") -> None:
        generator = torch.Generator().manual_seed(0)
        size = (options.batch_size, 3, options.image_size, options.image_size)
        labels = (torch.arange(options.batch_size) % 10).to(device)
        self.batch = Batch(torch.randn(size, generator=generator).to(device), labels, labels)
        self.batches = options.batches + options.warm_up

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.batches):
            yield self.batch


def fit(names: list[str], options: argparse.Namespace) -> tuple[float, dict[str, float]]:
    """Seconds of a step, and the share of it in the hooks of each callback."""
    pl.seed_everything(0, verbose=False)
    model = lr.ImageClassifier(
        "resnet18", 10, pretrained=False, backbone_kwargs={"drop_path_rate": 0.1}, optimizer=options.optimizer
    )
    callbacks = [CALLBACKS[name]() for name in names]
    timers = [Timer(callback) for callback in callbacks]
    clock = Clock(options.warm_up, timers)
    trainer = pl.Trainer(
        max_epochs=1, callbacks=[*callbacks, clock], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    loader: Any = InMemory(options)
    trainer.fit(model, DataLoader(loader, batch_size=None) if options.loader else loader)
    shares = {name: timer.seconds / clock.seconds for name, timer in zip(names, timers, strict=True)}
    return clock.seconds / options.batches, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--warm_up", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--loader", action="store_true", help="through a DataLoader")
    options = parser.parse_args()
    start()
    print(
        f"ResNet-18, {options.image_size} px, batches of {options.batch_size}, {torch.get_num_threads()} threads; "
        f"share of a step, median of {options.rounds} fits [lowest..highest]"
    )
    for name in CALLBACKS:
        runs = [fit([name], options) for _ in range(options.rounds)]
        shares, step = sorted(run[1][name] for run in runs), statistics.median(run[0] for run in runs)
        middle = statistics.median(shares)
        print(
            f"{name:>32}: {middle:7.2%} [{shares[0]:.2%}..{shares[-1]:.2%}] of {1000 * step:.0f} ms, "
            f"{1000 * middle * step:.2f} ms",
            flush=True,
        )
    totals, ratios = [], []
    for _ in range(options.rounds):
        without, _ = fit([], options)
        seconds, parts = fit(TOGETHER, options)
        totals.append(sum(parts.values()))
        ratios.append(seconds / without)
    totals.sort()
    ratios.sort()
    print(
        f"{'all together':>32}: {statistics.median(totals):7.2%} [{totals[0]:.2%}..{totals[-1]:.2%}], "
        f"all but GradientNoise"
    )
    print(f"{'fits with all to without any':>32}: {statistics.median(ratios):.3f} [{ratios[0]:.3f}..{ratios[-1]:.3f}]")


if __name__ == "__main__":
    main()
