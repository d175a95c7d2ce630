"""What every test has: one thread, libraries that ask nobody, the same draws, and a folder of its own to stand in."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports torch, and for the processes that tests start as well: two workers of two threads each wait
# for one another, and sums in another order are rounded otherwise.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _wandb_not_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """W&B keeps its settings, its cache and the artifacts of offline runs in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "CACHE", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(tmp_path_factory.mktemp(f"wandb_{name.lower()}")))
        yield


@pytest.fixture(autouse=True)
def _apart_from_other_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left in the checkout, and whatever ran before, a test begins with the same seed and search path."""
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the command line puts the folder that it is typed in there
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    torch.manual_seed(0)
