"""The learning rate finder leaves no trace: a run with it is, to the bit, the run without it."""

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from typing_extensions import override

from lightning_recipes.callbacks.lr_finder import LearningRateFinder
from lightning_recipes.loggers.csv import MetricsCSV
from tests.small import KeepEvery, classifier, digits, fit, two_stages


class Draws(pl.Callback):
    """Writes down what every step sees: the order of the data, a random draw, rates and the scaler's scale."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = None if scaler is None else scaler.get_scale()
        rates = [(group["lr"], group["betas"]) for group in trainer.optimizers[0].param_groups]
        self.seen.append((batch[2].tolist(), batch[0].sum().item(), torch.rand(1).item(), rates, scale))


def run(folder: Path, finder: bool, **options: Any) -> tuple[str, list[Any], list[dict[str, str]]]:
    plugins = [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))] if options.pop("fp16", False) else []
    draws = Draws()
    callbacks = [two_stages(cache_features=options.pop("cache", True))]
    if finder:
        callbacks.append(LearningRateFinder(apply=False, steps=10, orders=2, max_lr=1.0))  # type: ignore[arg-type]
    _, sha = fit(
        classifier(optimizer="adamw"), digits(augment="medium"), *callbacks, draws,
        max_epochs=-1, default_root_dir=str(folder), plugins=plugins,
        logger=MetricsCSV(str(folder)), log_every_n_steps=1, **options,
    )  # fmt: skip
    with (folder / "metrics.csv").open() as file:
        return sha, draws.seen, list(csv.DictReader(file))


@pytest.mark.filterwarnings("ignore:LearningRateFinder. stage")  # ten steps of an untrained network find nothing
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"cache": False}, marks=pytest.mark.slow),
        {"accumulate_grad_batches": 2},
        pytest.param({"gradient_clip_val": 0.1}, marks=pytest.mark.slow),
        {"precision": "bf16-mixed"},
        # In float16 a CPU takes its time.
        pytest.param({"fp16": True, "limit_train_batches": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_run_with_the_finder_is_the_run_without_it(tmp_path: Path, options: dict[str, Any]) -> None:
    without, with_it = run(tmp_path / "a", False, **options), run(tmp_path / "b", True, **options)
    assert with_it[1] == without[1]  # order, augmentation, random draws, rates, momentum, loss scale
    assert with_it[2] == without[2]  # the logs of training
    assert with_it[0] == without[0]  # the weights


@pytest.mark.parametrize(
    "steps", [pytest.param(slice(1, -1, 4), id="some"), pytest.param(slice(0, -1), id="more", marks=pytest.mark.slow)]
)
def test_a_run_that_takes_the_rates_found_is_resumed_to_the_bit(steps: slice, tmp_path: Path) -> None:
    def run(name: str, ckpt_path: Path | None = None) -> str:
        finder = LearningRateFinder(steps=12, orders=2, max_lr=1.0, min_lr=1e-4)
        _, sha = fit(
            classifier(pretrained="embedded:letters"), digits(augment="medium"), two_stages(), finder,
            KeepEvery(tmp_path, name), max_epochs=-1, ckpt_path=ckpt_path,
            enable_checkpointing=True, default_root_dir=str(tmp_path),
        )  # fmt: skip
        if ckpt_path is None:
            assert [finder.found[stage]["applied"] for stage in ("head", "all")] == [True, True]
        return sha

    whole = run("whole")
    for path in sorted(tmp_path.glob("whole-*.ckpt"))[steps]:
        assert run("again", path) == whole, path.stem
