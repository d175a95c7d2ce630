"""What ``fit`` says while it trains, where it is no terminal that reads it, and what a refused start leaves."""

import re
from pathlib import Path

import pytest

from lightning_recipes.__main__ import main
from tests.small import SMALL, UNREPORTED


def test_a_log_gets_a_line_an_epoch_and_the_profilers_report(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    Path("small.yaml").write_text(SMALL.replace("  enable_progress_bar: false\n", ""))
    words = ["fit", "--config", "small.yaml", "--run_dir", "run", *UNREPORTED]
    assert main([*words, "--trainer.profiler", "simple"]) == 0
    said = capfd.readouterr()
    lines = [line for line in said.out.splitlines() if "  epoch " in line]
    beginnings = ["head  epoch 1 of 3  ", "head  epoch 2 of 3  ", "all  epoch 3 of 3  "]
    assert [line[: len(beginning)] for line, beginning in zip(lines, beginnings, strict=True)] == beginnings
    for line in lines:
        figures = r"train_loss \d+\.\d{4}  train_accuracy .* %  val_loss \d+\.\d{4}  val_accuracy .* %"
        assert re.search(rf"{figures}  [1-9]\d* images/s  .* left$", line), line
    assert "\x1b" not in said.out
    assert "run_training_epoch" in said.out + said.err + caplog.text

    assert main([*words, "--ckpt_path", "last"]) == 0
    out = capfd.readouterr().out
    assert "Goes on from run/checkpoints/last.ckpt: 3 epochs done, step 12. The run was finished" in out
    assert "Nothing was left to train: all 3 epochs of the plan were done." in out


def test_going_on_in_a_folder_without_a_run_says_that_it_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    words = ["fit", "--config", "small.yaml", "--run_dir", "mistyped", "--ckpt_path", "last"]
    assert main([*words, "--trainer.fast_dev_run", "true"]) == 0
    assert "mistyped holds no checkpoint to go on from: the run starts from the beginning." in capsys.readouterr().out


def test_a_start_that_is_refused_late_leaves_nothing_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    words = ["fit", "--config", "small.yaml", "--run_dir", "deep/run"]
    for _ in range(2):
        assert main([*words, "--trainer.limit_val_batches", "0.01"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lightning-recipes: ")]
        assert "limit_val_batches" in lines[0]
        assert [path.name for path in tmp_path.rglob("*")] == ["small.yaml"]
