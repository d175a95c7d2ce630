"""``metrics.csv`` as a person finds it, also after a kill and a resume."""

import csv
from pathlib import Path

from lightning_recipes.loggers.csv import MetricsCSV


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_is_on_the_disk_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    MetricsCSV(str(tmp_path)).log_metrics({"train_loss": 0.5, "epoch": 0}, step=0)
    assert rows(tmp_path) == [{"epoch": "0", "step": "0", "train_loss": "0.5"}]


def test_columns_are_added_as_they_come_and_old_rows_stay(tmp_path: Path) -> None:
    log = MetricsCSV(str(tmp_path))
    log.log_metrics({"train_loss": 0.5}, step=0)
    log.log_metrics({"val_loss": 0.25}, step=0)
    assert [(row["train_loss"], row["val_loss"]) for row in rows(tmp_path)] == [("0.5", ""), ("", "0.25")]


def test_a_resumed_run_replaces_the_rows_from_its_checkpoint_on(tmp_path: Path) -> None:
    first = MetricsCSV(str(tmp_path))
    for step in range(4):
        first.log_metrics({"train_loss": float(step)}, step=step)
    second = MetricsCSV(str(tmp_path))
    second.log_metrics({"train_loss": 20.0}, step=2)
    second.log_metrics({"val_loss": 5.0}, step=2)
    assert [(row["step"], row["train_loss"]) for row in rows(tmp_path)] == [
        ("0", "0.0"), ("1", "1.0"), ("2", "20.0"), ("2", "")
    ]  # fmt: skip


def test_a_row_cut_short_by_a_kill_is_dropped(tmp_path: Path) -> None:
    MetricsCSV(str(tmp_path)).log_metrics({"train_loss": 0.5}, step=0)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write(",")
    MetricsCSV(str(tmp_path)).log_metrics({"train_loss": 0.25}, step=1)
    assert [row["train_loss"] for row in rows(tmp_path)] == ["0.5", "0.25"]
