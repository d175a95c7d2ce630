"""A run's process, of which nothing outlives the sweep's own."""

import os
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import lightning_recipes
from lightning_recipes.sweeps import guard

__all__ = ["PATIENCE", "Process", "environment", "python"]

PATIENCE = 120.0
"""Seconds that a run has to save itself when it is asked to stop; then it is killed."""

OF_A_LAUNCHER = (
    "SLURM_", "PMI_", "OMPI_", "WORLD_SIZE", "RANK", "LOCAL_", "NODE_RANK", "GROUP_RANK", "MASTER_", "TORCHELASTIC_",
    "PL_GLOBAL_SEED", "LIGHTNING_RECIPES_RUN_DIR",
)  # fmt: skip
"""Variables by which Lightning takes processes that are started side by side for one training; ours are workers."""


class Process:
    """A command that runs behind a guard: see :mod:`lightning_recipes.sweeps.guard`.

    Args:
        command: Words.
        log: File that what it says is added to.
        environment: Of it.
        patience: Seconds that it has to end when it is asked to.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], patience: float = PATIENCE
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-I", "-S", str(guard.__file__), str(patience), *command]
        with log.open("ab") as file:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**environment, "PYTHONUNBUFFERED": "1"},  # or an error stands before what was said before it
                start_new_session=True,  # Ctrl-C is the sweep's to hear
            )

    @property
    def pid(self) -> int:
        """Number of the guard."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None while it, or what it has started, is there."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to save itself and end."""
        pipe: IO[bytes] | None = self._process.stdin
        if pipe is not None and not pipe.closed:
            pipe.close()

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        code = self._process.wait()
        self.stop()
        return code


def python(*words: str) -> list[str]:
    """Return a command of this package's command line, as this process is run."""
    return [sys.executable, "-m", "lightning_recipes", *words]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment for a run of its own, whatever has started this process.

    Args:
        **changes: Variables that are other.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_A_LAUNCHER)}
    here = str(Path(lightning_recipes.__file__).parents[1])
    if here not in site.getsitepackages():  # a checkout: the run is to be of this one
        kept["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, **changes}
