"""Sweeps in processes of their own, for what kills them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import hear_interrupts

ROOT = Path(__file__).parents[2]
# Two epochs of all layers and no analysis: three seconds of training, checkpoints on the way.
TINY = """
seed_everything: 3
data: {root: "sklearn:digits", val_fraction: 0.05, images_per_class: 4, image_size: 32, batch_size: 10, num_workers: 0}
model: {backbone: test_resnet, pretrained: "embedded:letters", freeze_norm_stats: true}
gradcam: {images: 0}
errors: {run: false}
trainer:
  accelerator: cpu
  devices: 1
  logger: false
  enable_progress_bar: false
  callbacks:
    - class_path: lightning_recipes.Stages
      init_args:
        stages:
          - {name: head, epochs: 1, train: head, lr: 1.0e-2, cache_features: true}
          - {name: all, epochs: 2, lr: 1.0e-3, lr_decay: 0.5, schedule: one_cycle}
"""
SEARCH = """
trainer.callbacks[Stages].stages[all].lr: {log: [1e-4, 1e-2]}
model.optimizer: {choice: [sgd, adamw]}
model.optimizer.momentum: {uniform: [0.5, 0.95], when: {model.optimizer: sgd}}
data.batch_size: {int: [8, 12]}
"""


def write_files(folder: Path, recipe: str = TINY, search: str = SEARCH) -> None:
    (folder / "tiny.yaml").write_text(recipe)
    (folder / "search.yaml").write_text(search)


def start_sweep(folder: Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    """Begin a worker in a folder with the files; what it says is added to ``NAME.txt`` there."""
    command = [sys.executable, "-m", "lightning_recipes", "sweep", "--config", "tiny.yaml", "--search", "search.yaml"]
    with (folder / f"{name}.txt").open("ab") as said:
        return subprocess.Popen(
            [*command, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            stdout=said,
            stderr=said,
            preexec_fn=hear_interrupts,
        )


def wait_until(true: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 120.0) -> bool:
    """Wait for something while a process lives; tell whether it came."""
    end = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def training(out: Path) -> list[Path]:
    """Runs in the middle of their training."""
    folders = (checkpoint.parents[1] for checkpoint in out.glob("trials/**/checkpoints/last.ckpt"))
    return [folder for folder in folders if not (folder / "summary.json").exists()]


def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "sweep.json").read_text())
    return found


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that a folder is named in."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(os.fsencode(folder) in word for word in words):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


def wait_for_no_process_of(folder: Path, seconds: float = 20.0) -> list[str]:
    """Return what is left of a folder's processes after a while, in which what was killed saves itself."""
    end = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
