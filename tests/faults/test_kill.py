"""A run that is killed without warning goes on and ends as if it had not been."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.processes import start
from tests.small import SMALL


def sha(folder: Path) -> str:
    return str(json.loads((folder / "run" / "summary.json").read_text())["weights_sha256"])


def metrics(folder: Path) -> list[str]:
    return (folder / "run" / "metrics.csv").read_text().splitlines()


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_the_run_is_the_same(tmp_path: Path) -> None:
    recipe = SMALL.replace("logger: false", "").replace("{name: all, epochs: 1", "{name: all, epochs: 12")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "small.yaml").write_text(recipe)
    assert start(whole).wait() == 0
    kills = 0
    for steps in (5, 23, 37):
        process = start(killed, "--ckpt_path", "last", "--last_checkpoint.every_n_train_steps", "1")
        while process.poll() is None:
            path = killed / "run" / "metrics.csv"
            last = metrics(killed)[-1].split(",")[1] if path.exists() and len(metrics(killed)) > 1 else "0"
            if last.isdigit() and int(last) >= steps:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.01)
        process.wait()
    assert kills >= 2
    assert start(killed, "--ckpt_path", "last").wait() == 0, (killed / "errors.txt").read_text()
    assert sha(killed) == sha(whole)
    validations = [[line for line in metrics(folder) if line.split(",")[2]] for folder in (whole, killed)]
    assert validations[0] == validations[1]  # as if the file had been written in one go


@pytest.mark.slow
def test_an_interrupted_run_leaves_its_summary_and_its_page(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("{name: all, epochs: 1", "{name: all, epochs: 500"))
    process = start(tmp_path)
    while not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.wait()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["finished"] is False
    assert 0 < summary["epochs"] < 502
    assert summary["val_accuracy"] is not None
    goes_on = "fit --config run/config.yaml --run_dir run --ckpt_path last"
    assert goes_on in (tmp_path / "output.txt").read_text()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Stopped before its end." in page
    assert 'alt="Losses and metrics of training and validation' in page  # the curves so far
