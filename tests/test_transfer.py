"""The benchmark of fine-tuning on the smallest of its sets."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_row_is_made_once_and_reported(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "transfer.py"), "--table", str(tmp_path / "table.csv")]
    chosen = ["--sets", "digits", "drawn", "--recipes", "head", "old", "--seeds", "0", "--folder", str(tmp_path)]

    def said(*more: str) -> str:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run([*words, *more], capture_output=True, text=True, check=True, env=env).stdout

    first = said(*chosen)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["set"], row["recipe"]) for row in rows] == [
        ("digits", "head"),
        ("digits", "old"),
    ]  # drawn has no weights
    assert all(float(row["accuracy"]) > 0.9 for row in rows)
    assert len(first.splitlines()) == 2
    assert said(*chosen) == "", "trained again"
    assert "old" in said("--report", "head")
