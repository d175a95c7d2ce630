"""What a run ran on: versions, devices and the state of the code."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lightning_recipes._version import __version__

__all__ = ["environment"]

PACKAGES = ("torch", "torchvision", "lightning", "timm", "torchmetrics", "albumentations", "numpy", "wandb")


def environment(folder: Path) -> dict[str, Any]:
    """Return versions, processor, threads, accelerators and the state of the code, fit for JSON.

    Args:
        folder: Of the code, whose ``git`` state is ``commit``, ``branch`` and whether tracked files are ``dirty``; None
            where there is no repository or no git. Remote addresses are left out: they can hold passwords.
    """
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "lightning_recipes": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
        "cuda": torch.version.cuda if devices else None,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": _git_state(folder),
    }


def _git_state(folder: Path) -> dict[str, Any] | None:
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"), "dirty": bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
