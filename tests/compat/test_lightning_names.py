"""Names of Lightning beside its public interface: which one a new release has moved."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy

from lightning_recipes.compat import lightning as compat
from lightning_recipes.models.checkpoint_file import read_checkpoint
from tests.compat.releases import require_name
from tests.small import QUIET, classifier, digits, fit


class Plain(pl.LightningModule):
    """A module with an argument."""

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()


@pytest.fixture
def trainer() -> pl.Trainer:
    return pl.Trainer(**QUIET)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("lightning.pytorch.callbacks.progress.rich_progress", "MetricsTextColumn"),
        ("lightning.pytorch.trainer.states", "RunningStage.VALIDATING"),
        ("lightning.pytorch.utilities.memory", "is_oom_error"),
        ("lightning.pytorch.utilities.memory", "garbage_collection_cuda"),
    ],
)
def test_a_module_still_has_the_name(module: str, name: str) -> None:
    require_name("lightning", import_module(module), name)


@pytest.mark.parametrize(
    "path",
    [
        "fit_loop.batch_idx",
        "fit_loop.max_epochs",
        "fit_loop.setup_data",
        "fit_loop.restarting",
        "fit_loop.restarted_on_epoch_end",
        "fit_loop.update_restart_stage",
        "fit_loop.epoch_progress.increment_completed",
        "fit_loop.epoch_loop.max_steps",
        "fit_loop.epoch_loop.total_batch_idx",
        "reload_dataloaders_every_n_epochs",
        "state.stage",
        "val_check_batch",
    ],
)
def test_a_trainer_still_has_the_attribute(path: str, trainer: pl.Trainer) -> None:
    require_name("lightning", trainer, path)


@pytest.mark.parametrize(("kind", "name"), [(DDPStrategy, "configure_ddp"), (RichProgressBar, "_init_progress")])
def test_a_class_still_has_the_method(kind: type, name: str) -> None:
    require_name("lightning", kind, name)


def test_a_module_still_knows_whether_it_has_a_trainer(trainer: pl.Trainer) -> None:
    module = Plain()
    assert require_name("lightning", module, "_trainer") is None
    module.trainer = trainer
    assert compat.trainer_of(module) is trainer


def test_a_wandb_logger_still_keeps_its_run_and_its_arguments_there() -> None:
    logger = WandbLogger(project="some", id="one", tags=["a"])
    assert require_name("lightning", logger, "_experiment") is None
    assert require_name("lightning", logger, "_wandb_init") | {"project": "some", "id": "one", "tags": ["a"]} == (
        logger._wandb_init
    )


def test_a_wandb_logger_gives_the_run_that_it_was_given() -> None:
    logger, run = compat.OpenWandbLogger(project="some"), object()
    logger.opened = run
    assert logger.experiment is run
    assert logger.__getstate__()["_experiment"] is None


def test_a_progress_bar_still_has_a_place_for_the_metrics() -> None:
    require_name("lightning", RichProgressBar(), "_metric_component")


def test_mixed_precision_still_keeps_its_scaler_there(trainer: pl.Trainer) -> None:
    scaler: Any = object()
    require_name("lightning", MixedPrecision("16-mixed", "cpu", scaler), "scaler")
    assert compat.gradient_scaler(trainer) is None


def test_the_number_of_epochs_that_is_set_is_the_trainers(trainer: pl.Trainer) -> None:
    compat.set_max_epochs(trainer, 7)
    assert trainer.max_epochs == 7


def test_a_strategy_still_hands_its_model_to_ddp() -> None:
    source = inspect.getsource(require_name("lightning", DDPStrategy, "configure_ddp"))
    assert "self.model = " in source, (
        "lightning's configure_ddp wraps another: see lightning_recipes/compat/lightning.py"
    )


def test_a_checkpoint_still_says_how_far_a_fit_had_come(tmp_path: Path) -> None:
    class Saves(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}_{args[-1]}.ckpt")

    fit(classifier(), digits(), Saves(), max_epochs=2, limit_train_batches=2)
    progress = compat.progress_in(read_checkpoint(tmp_path / "1_0.ckpt"))
    assert progress == compat.Progress(epochs=1, inside=True, batches=1)


def test_the_command_line_still_adds_its_own_hyperparameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's own
    monkeypatch.setattr("sys.argv", ["one", "--model", f"{Plain.__module__}.Plain", "--model.size", "4"])
    given = LightningCLI(
        pl.LightningModule,
        subclass_mode_model=True,
        run=False,
        trainer_defaults=QUIET,
        save_config_callback=None,
        seed_everything_default=0,
    ).model.hparams
    added = {name for name in given if name.startswith("_")}
    text = "lightning adds other hyperparameters: see ADDED_BY_LIGHTNING in lightning_recipes/compat/lightning.py"
    assert added == set(compat.ADDED_BY_LIGHTNING), text
    assert given["size"] == 4
