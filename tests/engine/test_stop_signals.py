"""A run that is asked to stop ends after its step, and goes on to the same weights."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from typing_extensions import override

from lightning_recipes.atomic_io import WriteError, failed_write
from lightning_recipes.callbacks.checkpoints import LastCheckpoint
from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.callbacks.stop_on_signal import StopOnSignal
from lightning_recipes.engine.checkpoint_io import WholeCheckpointIO
from lightning_recipes.engine.stop_signals import Stopped, StopSignals
from tests.processes import start
from tests.small import SMALL, classifier, digits, fit, two_stages

ROOT = Path(__file__).parents[2]


class Send(pl.Callback):
    """Send this process a signal at one moment."""

    def __init__(self, number: int, moment: Callable[[str, pl.Trainer, int], bool]) -> None:
        self.number, self.moment = number, moment

    def _at(self, hook: str, trainer: pl.Trainer, batch_idx: int = 0) -> None:
        if self.moment(hook, trainer, batch_idx):
            os.kill(os.getpid(), self.number)

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._at("fit", trainer)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._at("batch", trainer, batch_idx)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._at("validation", trainer)


def train(folder: Path, *before: pl.Callback, stop: bool = True, **options: Any) -> str:
    """Train as ``fit`` on the command line does, without its start."""
    last, summary = LastCheckpoint(), RunSummary(str(folder))
    defaults = {"enable_checkpointing": True, "max_epochs": 3, "default_root_dir": str(folder)}
    options = {**defaults, **options}
    with StopSignals() as signals:
        stopper = StopOnSignal(signals)
        last.asked_for = lambda: bool(stopper.stopping)
        first = (stopper,) if stop else ()
        return fit(classifier(), digits(), *first, *before, two_stages(), summary, last, **options)[1]


MOMENTS: dict[str, tuple[Callable[[str, pl.Trainer, int], bool], int, dict[str, Any]]] = {
    "inside an epoch": (lambda hook, trainer, batch: hook == "batch" and trainer.global_step == 5, 6, {}),
    "in an epoch's last step": (lambda hook, trainer, batch: hook == "batch" and trainer.global_step == 3, 4, {}),
    "in a validation": (lambda hook, trainer, batch: hook == "validation" and trainer.current_epoch == 1, 8, {}),
    "between the parts of a step": (
        lambda hook, trainer, batch: hook == "batch" and trainer.current_epoch == 1 and batch == 0,
        3,
        {"accumulate_grad_batches": 2},
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_it_stops_after_the_step_or_epoch_and_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    moment, step, options = MOMENTS[name]
    whole = train(tmp_path / "whole", stop=False, **options)
    with pytest.raises(Stopped) as stopped:
        train(tmp_path / "run", Send(signal.SIGTERM, moment), **options)
    assert stopped.value.code == 143
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True, mmap=True)["global_step"] == step
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["stopped_by"], summary["finished"], summary["global_step"]) == ("signal", False, step)
    assert train(tmp_path / "run", ckpt_path=path, **options) == whole


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """A shell's background jobs, and with them the tests' own processes, are deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interrupts")
def test_before_the_first_step_it_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Stopped) as stopped:
        train(tmp_path / "run", Send(signal.SIGINT, lambda hook, trainer, batch: hook == "fit"))
    assert stopped.value.code == 130
    assert not (tmp_path / "run").exists()


def test_a_signal_in_the_last_epoch_lets_the_run_end(tmp_path: Path) -> None:
    last = Send(signal.SIGTERM, lambda hook, trainer, batch: hook == "validation" and trainer.current_epoch == 2)
    train(tmp_path / "run", last)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["finished"] is True


def test_the_second_signal_ends_the_process_at_once() -> None:
    waits = """
import time
from lightning_recipes.engine.stop_signals import StopSignals
with StopSignals() as signals:
    signals.patient = True
    print("ready", flush=True)
    while not signals.received:
        time.sleep(0.01)
    print(signals.received, flush=True)
    time.sleep(60)
"""
    words = [sys.executable, "-c", waits]
    with subprocess.Popen(
        words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == f"{int(signal.SIGTERM)}\n"
        time.sleep(1.5)
        process.terminate()
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_a_disk_that_takes_no_more_leaves_what_was_there_and_the_file_is_named(tmp_path: Path) -> None:
    path, io = tmp_path / "last.ckpt", WholeCheckpointIO()
    io.save_checkpoint({"weights": torch.ones(10)}, path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # as a full disk: the system refuses to write on
    try:
        with pytest.raises(WriteError) as failed:
            io.save_checkpoint({"weights": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert failed_write(failed.value).startswith(f"{path}: could not be written (File too large)")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_by_the_signals_code_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("{name: all, epochs: 1", "{name: all, epochs: 500"))
    process = start(tmp_path)
    while not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait() == 128 + number
    output = (tmp_path / "output.txt").read_text()
    assert f"Stopped by {number.name} after " in output
    assert "fit --config run/config.yaml --run_dir run --ckpt_path last" in output
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
