"""Folders of runs that are started at the same moment, by processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_recipes.errors import UserError
from lightning_recipes.run.folder import choose_run_folder

ROOT = Path(__file__).parents[2]
CLAIM = """
import sys, time
from pathlib import Path
from lightning_recipes.errors import UserError
from lightning_recipes.run.folder import choose_run_folder
run_dir, resume, start, hold = sys.argv[1] or None, sys.argv[2] == "resume", float(sys.argv[3]), float(sys.argv[4])
while time.time() < start:
    pass
try:
    with choose_run_folder(run_dir, "small", resume=resume) as folder:
        print(folder.path, flush=True)
        (folder.path / "config.yaml").write_text("")
        time.sleep(hold)
except UserError as error:
    print(error, flush=True)
"""


def claim(
    cwd: Path, run_dir: str = "", *, resume: bool = False, start: float = 0.0, hold: float = 0.0
) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CLAIM, run_dir, "resume" if resume else "", str(start), str(hold)]
    return subprocess.Popen(
        words, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )


def answers(processes: list[subprocess.Popen[str]]) -> list[str]:
    return [process.communicate(timeout=60)[0].strip() for process in processes]


def test_processes_that_start_together_get_folders_of_their_own(tmp_path: Path) -> None:
    for round_ in range(2):
        start = time.time() + 0.7
        found = answers([claim(tmp_path, start=start) for _ in range(6)])
        assert sorted(found) == sorted(f"runs/small/{6 * round_ + number}" for number in range(6))


def test_of_processes_that_name_the_same_folder_one_gets_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("new", "there", "deep/down"):
        start = time.time() + 0.7
        found = sorted(answers([claim(tmp_path, name, start=start, hold=0.7) for _ in range(4)]))
        assert found.count(name) == 1, found
        assert sum(answer.startswith(f"run_dir: '{name}' ") for answer in found) == 3, found
        assert not any("\n" in answer for answer in found)


@pytest.mark.slow
def test_a_run_that_is_under_way_is_not_gone_on_with_by_another_process(tmp_path: Path) -> None:
    first = claim(tmp_path, "run", hold=30)
    while not (tmp_path / "run" / "config.yaml").exists():
        time.sleep(0.01)
    assert "is in use by another process" in answers([claim(tmp_path, "run", resume=True)])[0]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert answers([claim(tmp_path, "run", resume=True)]) == ["run"]  # the lock has ended with the process


def test_what_never_began_leaves_nothing_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def begin(run_dir: str | None) -> None:
        with choose_run_folder(run_dir, "small") as folder:
            (folder.path / "figures").mkdir()
            (folder.path / "config.yaml").write_text("")
            raise KeyboardInterrupt

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    for run_dir in (None, "deep/down", "mine"):
        with pytest.raises(KeyboardInterrupt):
            begin(run_dir)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "notes.txt"]


def test_a_run_that_has_trained_keeps_its_files_when_it_fails(tmp_path: Path) -> None:
    folder = choose_run_folder(str(tmp_path / "run"), "small")
    for name in ("config.yaml", "metrics.csv"):
        (folder.path / name).write_text("")
    folder.release(failed=True)
    assert {path.name for path in folder.path.iterdir()} == {"config.yaml", "metrics.csv"}


def test_the_newest_run_is_gone_on_with_not_a_folder_in_which_none_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (0, 1):
        Path(f"runs/small/{number}").mkdir(parents=True)
    Path("runs/small/0/config.yaml").write_text("")
    with choose_run_folder(None, "small", resume=True) as folder:
        assert folder.path == Path("runs/small/0")


@pytest.mark.parametrize("name", ["a" * 300, "/proc/run", "/dev/null/run"])
def test_a_folder_that_cannot_be_made_is_named(name: str) -> None:
    with pytest.raises(UserError, match=r"run_dir: '.*; name another folder|a folder that can be written"):
        choose_run_folder(name, "small")


def test_a_folder_that_was_only_chosen_is_nobodys_to_clean(tmp_path: Path) -> None:
    """As by each of the processes that torchrun or srun starts side by side."""
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="late"), choose_run_folder(str(tmp_path / "mine"), "small", claim=False):
        raise ValueError("late")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["sub", "thesis.txt"]
