"""A run's process: nothing of it outlives the sweep's, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_recipes.sweeps.process import Process, environment

# A run with a worker that is deaf to SIGTERM, and one that has left its group.
FAMILY = """
trap '' TERM
sleep {mark} &
setsid sleep {mark} &
trap 'echo saved; exit 9' TERM
echo ready
while :; do sleep 0.05; done
"""
SWEEP = """
import sys, time
from pathlib import Path
from lightning_recipes.sweeps.process import Process, environment
Process(["bash", "-c", sys.argv[1]], Path(sys.argv[2]), environment(), patience=5.0)
time.sleep(1000)
"""


@pytest.fixture
def mark() -> str:
    """A time to sleep that nobody else sleeps."""
    return f"1000.{os.getpid()}{time.monotonic_ns()}"


def alive(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, state = (entry / "cmdline").read_bytes(), (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in words and state != "Z":
            found.append(words.replace(b"\0", b" ").decode())
    return found


def wait_for(log: Path, word: str) -> None:
    end = time.monotonic() + 30
    while not (log.exists() and word in log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_asked_to_end_and_what_it_started_is_ended(tmp_path: Path, mark: str) -> None:
    process = Process(["bash", "-c", FAMILY.format(mark=mark)], tmp_path / "log.txt", environment())
    wait_for(tmp_path / "log.txt", "ready")
    assert len(alive(mark)) >= 3
    assert process.poll() is None
    process.stop()
    assert process.wait() == 9
    assert alive(mark) == []
    assert "saved" in (tmp_path / "log.txt").read_text()


def test_it_is_killed_when_it_does_not_end(tmp_path: Path, mark: str) -> None:
    deaf = f"trap '' TERM; echo ready; sleep {mark}; sleep {mark}"
    process = Process(["bash", "-c", deaf], tmp_path / "log.txt", environment(), patience=0.5)
    wait_for(tmp_path / "log.txt", "ready")
    process.stop()
    assert process.wait() == 128 + signal.SIGKILL
    assert alive(mark) == []


@pytest.mark.parametrize("guard_too", [False, True], ids=["sweep", "sweep and guard"])
def test_nothing_is_left_of_a_sweep_that_is_killed(tmp_path: Path, mark: str, guard_too: bool) -> None:
    family = (
        FAMILY if not guard_too else "trap 'echo saved; exit 9' TERM; echo ready; while :; do sleep 0.05; done #{mark}"
    )
    words = [sys.executable, "-c", SWEEP, family.format(mark=mark), str(tmp_path / "log.txt")]
    sweep = subprocess.Popen(words, env=environment())
    wait_for(tmp_path / "log.txt", "ready")
    if guard_too:
        (guard,) = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children").read_text().split()
        os.kill(int(guard), signal.SIGKILL)
    sweep.kill()
    sweep.wait()
    end = time.monotonic() + 15
    while alive(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(mark) == []
    assert "saved" in (tmp_path / "log.txt").read_text()


def test_its_exit_code_and_what_it_says_are_kept(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print('said'); print('wrong', file=sys.stderr); sys.exit(3)"]
    assert Process(words, tmp_path / "log.txt", environment()).wait() == 3
    assert Process(["bash", "-c", "kill -SEGV $$"], tmp_path / "log.txt", environment()).wait() == 139
    assert Process(["no-such-program"], tmp_path / "log.txt", environment()).wait() == 127
    said = (tmp_path / "log.txt").read_text().splitlines()
    assert said[:2] == ["said", "wrong"]
    assert "No such file" in said[2]


def test_a_launchers_variables_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_NTASKS", "WORLD_SIZE", "LOCAL_RANK", "LIGHTNING_RECIPES_RUN_DIR"):
        monkeypatch.setenv(name, "2")
    found = environment(OMP_NUM_THREADS="3")
    assert not {"SLURM_NTASKS", "WORLD_SIZE", "LOCAL_RANK", "LIGHTNING_RECIPES_RUN_DIR"} & set(found)
    assert found["OMP_NUM_THREADS"] == "3"
