"""A module without labels trains in the same stages, with the same callbacks, and resumes to the bit."""

import json
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typing_extensions import override

import lightning_recipes as lr
from lightning_recipes import Stage
from tests.foreign.denoising import DenoisingAutoencoder, Pictures
from tests.small import fit

CYCLES = {"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1}
PLAN = [
    Stage("decoder", epochs=1, train="head", lr=0.01),
    Stage(
        "all", epochs=2, lr=0.01, lr_decay=0.5, schedule={"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1}
    ),
]


def train(folder: Path, *callbacks: pl.Callback, **options: Any) -> tuple[DenoisingAutoencoder, pl.Trainer, str]:
    torch.manual_seed(1)
    module = DenoisingAutoencoder()
    options = {"enable_checkpointing": True, "max_epochs": -1, "default_root_dir": folder, **options}
    trainer, sha = fit(module, Pictures(), lr.Stages(PLAN), *callbacks, **options)
    return module, trainer, sha


class Watch(pl.Callback):
    """Keeps the weights at the end of each epoch, and what is logged."""

    def __init__(self) -> None:
        self.encoders: list[torch.Tensor] = []
        self.logged: list[dict[str, float]] = []

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, DenoisingAutoencoder)
        self.encoders.append(torch.cat([p.detach().flatten() for p in pl_module.encoder.parameters()]))
        self.logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def test_a_frozen_encoder_stays_until_its_stage_begins_and_it_learns(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.cat([p.detach().flatten() for p in DenoisingAutoencoder().encoder.parameters()])
    watch = Watch()
    train(tmp_path, watch)
    assert torch.equal(watch.encoders[0], before)
    assert not torch.equal(watch.encoders[1], before)
    losses = [row["val_loss"] for row in watch.logged]
    assert losses[-1] < 0.8 * losses[0]
    assert all(math.isfinite(row["train_loss"]) for row in watch.logged)


def test_finder_average_clipping_and_snapshots_work_on_it(tmp_path: Path) -> None:
    finder = lr.LearningRateFinder(stages=["all"], steps=20, orders=1)
    watch, clipping = Watch(), lr.GradientClipping(limit=0.1)
    recorded = [lr.SnapshotEnsemble(), lr.RunSummary(str(tmp_path)), lr.BestCheckpoint()]
    module, trainer, _ = train(tmp_path, finder, lr.EMA(0.9, 1), clipping, *recorded, watch)
    assert json.loads((tmp_path / "lr_finder.json").read_text())["all"]["optimizer_steps"] > 5
    assert watch.logged[-1]["gradient_clipping/clipped_share"] > 0
    snapshots = sorted((tmp_path / "snapshots").glob("*.safetensors"))
    assert len(snapshots) == 2
    # The last cycle ends with the run, so its snapshot is what the fit leaves: the average.
    left = {name: tensor for name, tensor in module.state_dict().items() if name in load_file(snapshots[-1])}
    assert left
    assert all(torch.equal(tensor, load_file(snapshots[-1])[name]) for name, tensor in left.items())
    assert trainer.checkpoint_callbacks[0].best.metrics["val_loss"] == min(row["val_loss"] for row in watch.logged)  # type: ignore[attr-defined]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["val_loss"] == min(row["val_loss"] for row in watch.logged)
    assert [stage["epochs"] for stage in summary["stages"]] == [1, 2]
    assert "val_accuracy" not in summary


def test_a_finder_that_only_reports_changes_nothing(tmp_path: Path) -> None:
    finder = lr.LearningRateFinder(steps=10, orders=1, apply=False)
    assert train(tmp_path / "a", finder)[2] == train(tmp_path / "b")[2]


def test_parts_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    """Of the stage without batch-norm that trains; the noise of a part is the part's."""

    class Quiet(DenoisingAutoencoder):
        def __init__(self) -> None:
            super().__init__(noise=0.0)
            self.decoder[0] = torch.nn.Identity()

    def run(*callbacks: pl.Callback) -> torch.Tensor:
        torch.manual_seed(1)
        module = Quiet()
        fit(module, Pictures(), lr.Stages(PLAN[:1]), *callbacks, max_epochs=-1)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    torch.testing.assert_close(run(lr.MicroBatches(start=4, trial=False)), run())


@pytest.mark.parametrize("step", [1, 4, 5, 7, 11])
def test_a_run_that_goes_on_ends_at_the_same_weights(tmp_path: Path, step: int) -> None:
    def callbacks() -> list[pl.Callback]:
        finder = lr.LearningRateFinder(stages=["all"], steps=10, orders=1)
        return [finder, lr.EMA(0.9, 1), lr.GradientClipping(limit=0.1), lr.EarlyStopping("val_loss", mode="min")]

    whole = train(tmp_path / "whole", *callbacks())[2]
    train(tmp_path / "cut", *callbacks(), lr.LastCheckpoint(), max_steps=step)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    assert train(tmp_path / "on", *callbacks(), ckpt_path=last)[2] == whole


def test_what_needs_labels_or_a_backbone_says_so(tmp_path: Path) -> None:
    with pytest.raises(lr.UserError, match="StochasticDepth: needs a module with a backbone and a head"):
        train(tmp_path, lr.StochasticDepth())
    with pytest.raises(lr.UserError, match=r"EMA\.validate: both: needs a module that gives class probabilities"):
        train(tmp_path, lr.EMA(validate="both"))


def test_a_weight_that_nothing_would_train_is_refused(tmp_path: Path) -> None:
    class WithMore(DenoisingAutoencoder):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.scale = torch.nn.Parameter(torch.ones(1))

    trainer = pl.Trainer(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", logger=False)
    with pytest.raises(lr.UserError, match="model: no layer group has scale, so nothing would train it"):
        trainer.fit(WithMore(), datamodule=Pictures())


class Watched(DenoisingAutoencoder):
    """Keeps the keys that its draws are a function of."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.keys: list[tuple[str | int, ...]] = []

    @override
    def training_loss(self, batch: Tensor, key: tuple[str | int, ...]) -> Tensor:
        self.keys.append(key)
        return super().training_loss(batch, key)


def test_each_process_draws_its_own_noise_in_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Watched()
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    for rank in (0, 1):
        monkeypatch.setattr(Watched, "global_rank", rank)
        module.validation_step(torch.zeros(2, 1, 8, 8), 0)
    assert module.keys[0] != module.keys[1]


def test_each_part_of_a_batch_draws_its_own_noise() -> None:
    module = Watched()
    fit(module, Pictures(), lr.MicroBatches(start=2, trial=False), max_epochs=1, limit_val_batches=0)
    assert len(module.keys) == len(set(module.keys)) == 8
