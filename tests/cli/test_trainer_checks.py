"""Lightning's own keys of ``trainer`` on the command line: each does what Lightning says of it, or is refused."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from typing_extensions import override

from lightning_recipes.__main__ import main
from lightning_recipes.cli.trainer_checks import make_trainer
from lightning_recipes.errors import UserError
from tests.small import SMALL, classifier, digits, fit, two_stages


def run(folder: Path, *words: str) -> Path:
    """Train the small recipe with some keys changed, and return its folder."""
    (folder / "small.yaml").write_text(SMALL.replace("logger: false", "logger: []"))
    command = ["fit", "--config", str(folder / "small.yaml"), "--run_dir", str(folder / "run"), *words]
    assert main(command) == 0
    return folder / "run"


def contents(run: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / name).read_text())
    return loaded


class SeeBatches(pl.Callback):
    """Keeps images and labels of every training batch, by epoch."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, i: int) -> None:
        self.epochs.setdefault(trainer.current_epoch, []).append((batch[0].clone(), batch[1].clone()))


def test_overfit_batches_gives_the_same_images_every_epoch_of_several_classes() -> None:
    seen = SeeBatches()
    trainer, _ = fit(classifier(lr=0.01), digits(), seen, overfit_batches=2, max_epochs=12)
    assert [len(batches) for batches in seen.epochs.values()] == [2] * 12
    for batches in seen.epochs.values():
        for (images, labels), (first_images, first_labels) in zip(batches, seen.epochs[0], strict=True):
            assert torch.equal(images, first_images)
            assert torch.equal(labels, first_labels)
    assert len({int(label) for _, labels in seen.epochs[0] for label in labels}) > 2  # images lie sorted by class
    assert trainer.callback_metrics["train_accuracy"] > 0.9  # what it is for


def test_what_is_analysed_is_what_was_validated(tmp_path: Path) -> None:
    folder = run(tmp_path, "--trainer.limit_val_batches", "2")
    assert contents(folder, "errors.json")["images"] == contents(folder, "summary.json")["val_images"] == 20


@pytest.mark.filterwarnings("ignore:.*could not find the monitored key.*")  # there is no best epoch, as it says
def test_a_run_without_validation_has_no_analysis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path, "--trainer.limit_val_batches", "0")
    assert "No epoch was validated" in capsys.readouterr().out
    assert not (folder / "errors.json").exists()
    assert (folder / "figures" / "curves.png").exists()


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_other_precisions_train_cache_and_explain(precision: str, tmp_path: Path) -> None:
    folder = run(tmp_path, "--trainer.precision", precision)
    dtype = {"64-true": torch.float64, "bf16-true": torch.bfloat16}[precision]
    weights = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert weights["head.weight"].dtype == dtype
    assert contents(folder, "summary.json")["val_accuracy"] > 0.3
    assert (folder / "figures" / "gradcam.png").exists()


def test_without_checkpoints_the_last_weights_are_judged(tmp_path: Path) -> None:
    folder = run(tmp_path, "--trainer.enable_checkpointing", "false")
    assert not (folder / "checkpoints").exists()
    analysed, summary = contents(folder, "errors.json"), contents(folder, "summary.json")
    assert analysed["correct"] / analysed["images"] == summary["val_accuracy"]
    assert summary["best_epoch"] == 2


def test_a_checkpoint_callback_of_ones_own_writes_beside_the_runs(tmp_path: Path) -> None:
    added = "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint"
    folder = run(tmp_path, added, "--trainer.callbacks.monitor", "val_loss")
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert len(names - {"best.ckpt", "last.ckpt", "previous.ckpt"}) == 1
    assert len(names) == 4


def test_no_epoch_at_all_ends_well(tmp_path: Path) -> None:
    folder = run(tmp_path, "--trainer.max_epochs", "0")
    assert contents(folder, "summary.json")["global_step"] == 0


def test_a_callback_that_would_replace_the_schedule_is_refused() -> None:
    with pytest.raises(UserError, match="StochasticWeightAveraging would put its own schedule in the plan's place"):
        fit(classifier(), digits(), two_stages(), StochasticWeightAveraging(0.01), max_epochs=-1)


@pytest.mark.parametrize(
    ("capability", "precision", "said"),
    [
        ("AVX2", "bf16-mixed", True),
        ("AVX2", "bf16-true", True),
        ("AVX2", "32-true", False),
        ("AVX512", "bf16-mixed", False),
    ],
)
def test_a_processor_that_has_no_bfloat16_is_named(
    capability: str, precision: str, said: bool, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    make_trainer(pl.Trainer, {"accelerator": "cpu", "precision": precision, "logger": False})
    assert any("--trainer.precision 32-true" in str(warning.message) for warning in recwarn) is said
