"""What Lightning gives a trainer by itself; where one of these fails, Lightning has moved what is used here."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from lightning_recipes.compat.lightning import write_into
from lightning_recipes.engine.trainer_defaults import (
    is_default_checkpoint,
    is_default_logger,
    remove_empty_folder,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*tensorboardX.*")
CPU: dict[str, Any] = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}


def test_a_trainer_that_was_asked_for_nothing_has_a_checkpoint_and_a_logger_of_lightnings(tmp_path: Path) -> None:
    trainer = pl.Trainer(**CPU, default_root_dir=tmp_path)
    (checkpoint,) = trainer.checkpoint_callbacks
    assert is_default_checkpoint(checkpoint), "Trainer() makes a ModelCheckpoint of another kind now"
    (logger,) = trainer.loggers
    assert is_default_logger(trainer, logger), "Trainer() makes a logger of another kind now"
    _ = logger.experiment  # type: ignore[attr-defined]
    remove_empty_folder(logger)
    assert list(tmp_path.iterdir()) == []


def test_what_a_user_asked_for_is_no_default(tmp_path: Path) -> None:
    own = [ModelCheckpoint(monitor="val_loss"), ModelCheckpoint(save_top_k=-1), ModelCheckpoint(dirpath=tmp_path)]
    assert not any(is_default_checkpoint(callback) for callback in [*own, pl.Callback()])
    for log in (CSVLogger(str(tmp_path)), CSVLogger(str(tmp_path / "root"), name="mine")):
        trainer = pl.Trainer(**CPU, logger=log, default_root_dir=tmp_path / "root")
        assert not is_default_logger(trainer, log)


def test_a_folder_with_something_in_it_is_not_removed(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path))
    _ = logger.experiment
    (Path(logger.log_dir) / "mine.txt").write_text("")
    remove_empty_folder(logger)
    assert [path.name for path in tmp_path.rglob("*.txt")] == ["mine.txt"]


def test_a_trainer_is_pointed_at_another_folder(tmp_path: Path) -> None:
    trainer = pl.Trainer(**CPU, logger=False, enable_checkpointing=False)
    write_into(trainer, str(tmp_path))
    assert trainer.default_root_dir == str(tmp_path), "default_root_dir is no longer read from _default_root_dir"
