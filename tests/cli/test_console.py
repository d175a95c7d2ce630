"""What the terminal says at the end of a run: what ended it, how it goes on, whole numbers at any width."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from lightning_recipes.cli.console import print_evaluation, print_range_test, print_summary
from lightning_recipes.run.report.ending import command_to_go_on, ending

SUMMARY: dict[str, Any] = {
    "recipe": "small", "epochs": 7, "global_step": 700, "seconds": 75.2, "finished": True, "stopped_by": None,
    "val_loss": 0.512345, "val_accuracy": 0.75, "val_accuracy_ci95": [0.6, 0.9], "val_images": 40, "best_epoch": 3,
    "stages": [{"name": "head", "epochs": 7, "planned_epochs": 7, "base_lr": 1e-3, "images_per_second": 1234.0}],
}  # fmt: skip
STOPPED = {"finished": False, "stages": [{**SUMMARY["stages"][0], "planned_epochs": 3000}]}


def said(folder: Path, capsys: pytest.CaptureFixture[str], **changed: Any) -> str:
    (folder / "summary.json").write_text(json.dumps(SUMMARY | changed))
    print_summary(folder)
    return capsys.readouterr().out


def checkpointed(folder: Path) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    (folder / "config.yaml").touch()
    return folder


@pytest.mark.parametrize(
    ("stopped_by", "words", "lifted"),
    [
        ("max_time", "Ended by trainer.max_time after 7 of 3,000 epochs.", ["--trainer.max_time", "null"]),
        ("max_steps", "Ended by trainer.max_steps after 7 of 3,000 epochs.", ["--trainer.max_steps", "-1"]),
        ("max_epochs", "Ended by trainer.max_epochs after 7 of 3,000 epochs.", ["--trainer.max_epochs", "null"]),
        ("callback", "Ended by a callback after 7 of 3,000 epochs.", []),
        ("exception", "Ended by an error after 7 of 3,000 epochs.", []),
        ("signal", "Interrupted after 7 of 3,000 epochs.", []),
        ("something new", "Stopped before its end after 7 of 3,000 epochs.", []),
    ],
)
def test_a_run_that_ended_before_its_plan_says_what_ended_it_and_how_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stopped_by: str, words: str, lifted: list[str]
) -> None:
    folder = checkpointed(tmp_path / "a run [1]")
    out = said(folder, capsys, **STOPPED, stopped_by=stopped_by)
    assert words in out
    (command,) = (line for line in out.splitlines() if "lightning-recipes fit" in line)
    assert shlex.split(command) == [
        "lightning-recipes", "fit", "--config", str(folder / "config.yaml"), "--run_dir", str(folder),
        "--ckpt_path", "last", *lifted,
    ]  # fmt: skip


def test_a_run_whose_plan_is_over_says_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(checkpointed(tmp_path / "run"), capsys)
    assert "Ended" not in out
    assert "--ckpt_path" not in out
    assert "Best of 7 epochs: epoch 3, counted from 0." in out


def test_without_a_checkpoint_there_is_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(tmp_path, capsys, **STOPPED, stopped_by="max_time")
    assert "Ended by trainer.max_time" in out
    assert "goes on" not in out
    assert command_to_go_on(tmp_path, SUMMARY | STOPPED) == ""


def test_a_run_goes_on_with_the_recipe_that_it_was_last_trained_with(tmp_path: Path) -> None:
    folder = checkpointed(tmp_path)
    for name in ("config.yaml", "config-1.yaml", "config-10.yaml", "config-2.yaml"):
        (folder / name).write_text("")
    assert f"--config {folder / 'config-10.yaml'} " in command_to_go_on(folder, SUMMARY | STOPPED)


def test_a_plan_without_end_is_not_counted() -> None:
    assert ending({"finished": False, "stopped_by": "max_time", "epochs": 7, "stages": [{"planned_epochs": -1}]}) == (
        "Ended by trainer.max_time after 7 epochs"
    )


@pytest.mark.parametrize("width", [44, 80, 120])
def test_numbers_stay_whole_and_lines_fit_at_any_width(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stage = {**SUMMARY["stages"][0], "name": "[red]\u732b\n" + "a_stage_with_a_long_name_" * 3}
    out = said(tmp_path, capsys, stages=[stage], snapshots=[{}] * 3, ensemble_val_accuracy=0.8,
               ensemble_val_accuracy_ci95=[0.65, 0.9])  # fmt: skip
    for whole in ("75.0 %", "60.0 to 90.0 %", "0.5123", "1,234", "80.0 %", "[red]\u732b"):
        assert whole in out, whole
    table = out[: out.index("Best of")].splitlines()
    assert max(map(cell_len, table)) <= width
    found = {"lr": 1e-3, "low": 5e-4, "high": 2e-3}
    result = {"recipe_lr": None, "suggestion": "steep", "suggestions": {"steep": found}, "problem": None}
    (tmp_path / "lr_finder.json").write_text(json.dumps({"[bold]": result}))
    print_range_test(tmp_path)
    print_evaluation("validate", [{"val_accuracy": 0.5, "val_a_metric_of_the_users_own_with_a_name": 0.25}])
    out = capsys.readouterr().out
    assert "0.0005 to 0.002" in out
    assert "[bold]" in out
    assert "0.2500" in out
    tables = [line for line in out.splitlines() if "Figure and curves" not in line]
    assert max(map(cell_len, tables)) <= width


def test_what_is_not_known_is_a_dash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = SUMMARY["stages"][0] | {"images_per_second": None, "base_lr": None}
    nothing = dict.fromkeys(("val_loss", "val_accuracy", "val_accuracy_ci95", "val_images", "best_epoch"))
    out = said(tmp_path, capsys, stages=[stage], **nothing)
    assert "None" not in out
    assert "No epoch was validated" in out
    out = said(tmp_path, capsys, val_loss=None)
    assert "75.0 %" in out
    assert any("val_loss" in line and " - " in line for line in out.splitlines())


def test_errors_of_another_epoch_than_the_best_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "errors.json").write_text(json.dumps({"best_epoch": 1, "diagnosis": []}))
    assert "The errors are those of epoch 1" in said(tmp_path, capsys)
    (tmp_path / "errors.json").write_text(json.dumps({"best_epoch": 3, "diagnosis": []}))
    assert "The errors are those" not in said(tmp_path, capsys)
    (tmp_path / "errors.json").write_text(json.dumps({"best_epoch": None, "diagnosis": []}))
    assert "The errors are those" not in said(tmp_path, capsys)


def test_a_table_of_values_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation("test", [{"val_loss": 0.5}])
    out = capsys.readouterr().out
    assert "metric" in out
    assert "figure" not in out
