"""Runs of the command line in processes of their own, for what ends a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Begin ``fit`` on the recipe ``small.yaml`` of a folder; what it says is in two files there."""
    command = [sys.executable, "-m", "lightning_recipes", "fit", "--config", "small.yaml", "--run_dir", "run", *words]
    with (folder / "errors.txt").open("w") as errors, (folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            stdout=output,
            stderr=errors,
            preexec_fn=hear_interrupts,
        )


def hear_interrupts() -> None:
    """A shell's background jobs, and with them the tests' own processes, are deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
