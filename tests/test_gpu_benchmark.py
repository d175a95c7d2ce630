"""The benchmark of a GPU, as small as it can be, where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import class_folders

ROOT = Path(__file__).parents[1]
SMALL = [
    "--backbones", "test_resnet", "test_vit", "--small_backbone", "test_resnet", "--image_size", "160",
    "--batch_size", "2", "--steps", "2", "--warm_up", "1", "--rounds", "1", "--side", "32", "--workers", "0",
    "--epochs", "1", "--small", '{"image_size": 32, "batch_size": 2}', "--out", "numbers.json",
]  # fmt: skip


@pytest.mark.slow
def test_it_measures_steps_callbacks_and_the_loader(tmp_path: Path) -> None:
    images = class_folders(tmp_path / "images", count=40)
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *SMALL, "--images", str(images)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "numbers.json").read_text())
    assert {"test_resnet", "test_vit", "callbacks_large", "callbacks_small", "loader_0"} <= set(found)
    for name in ("test_resnet", "callbacks_small"):
        assert found[name]["ratio"]["median"] == found[name]["ours"]["median"] / found[name]["theirs"]["median"]
