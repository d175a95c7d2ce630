"""A folder is there whole or not at all, and what a killed process left is removed by the next, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from lightning_recipes.atomic_io import whole_folder

FILL = """
import sys
from pathlib import Path
from lightning_recipes.atomic_io import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "half.txt").write_text("half")
    print("filling", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out) as folder:
        (folder / "0.txt").write_text("0")
        assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "0.txt").read_text() == "0"
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "other"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_others_are_at_is_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / ".out.original").mkdir()  # somebody's own
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "filling\n"
    (left,) = tmp_path.glob(".out.unfinished-*")
    with pytest.raises(RuntimeError), whole_folder(out):
        raise RuntimeError
    assert (left / "out" / "half.txt").exists()
    process.kill()
    process.communicate()
    assert left.exists()
    assert not out.exists()
    with whole_folder(out):
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.original", "out"]
