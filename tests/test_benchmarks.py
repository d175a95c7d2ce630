"""The one command for all benchmarks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def benchmarks(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_it_writes_a_page_of_what_a_script_said_and_its_command(tmp_path: Path) -> None:
    run = benchmarks("--only", "evaluation.py", "--out", str(tmp_path / "page.md"))
    assert run.returncode == 0, run.stderr
    page = (tmp_path / "page.md").read_text()
    assert "`python benchmarks/evaluation.py --rounds 2`" in page
    assert "validate, to the network over the same loader: " in page


@pytest.mark.slow
def test_one_that_fails_is_named_and_fails_the_whole() -> None:
    run = benchmarks("--only", "image_path.py", "--images", "/nowhere.zip")
    assert run.returncode == 1
    assert "data.root: '/nowhere.zip'" in run.stdout
    assert "2 of them failed" in run.stderr
