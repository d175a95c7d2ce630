"""W&B: the offline run holds everything, stays one run over a resume, and a broken W&B stops nothing."""

import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.plugins import MixedPrecision

from lightning_recipes import (
    BestCheckpoint,
    ErrorAnalysis,
    GradientClipping,
    MisclassifiedGradCAM,
    RunSummary,
    SnapshotEnsemble,
    Stage,
    Stages,
    UserError,
)
from lightning_recipes import WandbTracker as Tracker
from lightning_recipes.loggers.wandb import BackgroundWandbLogger
from lightning_recipes.optim.gradients import norms_by_group
from tests.small import classifier, digits, fit, two_stages
from tests.wandb_file import read_offline_run, sessions

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def cycles() -> Stages:
    sgdr = {"name": "warm_restarts", "cycle_epochs": 1}
    return Stages([Stage("head", 1, train="head", lr=0.01), Stage("all", 2, lr=3e-3, schedule=sgdr)])


def test_a_run_has_figures_by_stage_rates_norms_tables_and_artifacts_and_trains_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(folder: Path, *more: Any) -> str:
        best = ModelCheckpoint(folder / "checkpoints", "best", monitor="val_loss")
        callbacks = [
            ErrorAnalysis(),
            MisclassifiedGradCAM(3),
            SnapshotEnsemble(),
            RunSummary(str(folder), "digits"),
            best,
        ]
        options: dict[str, Any] = {"enable_checkpointing": True, "log_every_n_steps": 1, "max_epochs": -1}
        _, sha = fit(classifier(), digits(), *more, cycles(), *callbacks, default_root_dir=folder, **options)
        return sha

    monkeypatch.chdir(ROOT)  # whose commit is noted
    tracker = Tracker(project="digits", name="mine", group="ours")
    assert train(tmp_path / "with", tracker) == train(tmp_path / "without")
    (run,) = sessions(tmp_path / "with")
    assert (run.run_id, run.project, run.name, run.exit_code) == (tracker.run_id, "digits", "mine", 0)
    assert run.group == "ours"
    assert run.config["lr"] == 1e-3
    assert run.config["environment"]["packages"]["torch"] == version("torch")
    assert len(run.config["environment"]["git"]["commit"]) == 40
    assert len(run.column("head/val_loss")) == 1
    assert len(run.column("all/val_loss")) == 2
    assert run.column("head/val_loss") + run.column("all/val_loss") == run.column("val_loss")
    assert run.column("lr/head")[0] == pytest.approx(0.01)
    assert len(run.column("lr/head")) == 12
    assert len(run.column("lr/stem")) == 8
    assert len(run.column("gradient_norm/stem")) == 8
    assert all(speed > 0 for speed in run.column("throughput/images_per_second"))
    assert len(run.column("throughput/images_per_second")) == 3
    pictures = {name.split("/")[0] for name in run.summary if name.endswith("/_type")}
    assert {"confusion", "calibration", "gradcam", "snapshots"} <= pictures
    (rows,) = run.column("predictions/nrows")
    assert rows == run.summary["predictions/nrows"] == 39
    assert run.column("gradcam_mistakes/nrows") == [3]
    assert run.column("confusion_matrix/nrows")
    artifacts = {name: (aliases, files) for name, aliases, files in run.artifacts}
    assert set(artifacts[f"{run.run_id}-best"][0]) >= {"best"}
    assert artifacts[f"{run.run_id}-best"][1] == ["best.ckpt"]
    assert "last-snapshot" in artifacts[f"{run.run_id}-snapshots"][0]
    assert any("diagnosis" in name for name in run.summary)
    assert run.summary["run/val_images"] == 39


def test_norms_in_the_run_are_those_before_clipping(tmp_path: Path) -> None:
    clipping = GradientClipping("norm", 1e-3)
    fit(classifier(), digits(), Tracker(), clipping, max_epochs=1, log_every_n_steps=1, default_root_dir=tmp_path)
    (run,) = sessions(tmp_path)
    rows = [row for row in run.history if "gradient_clipping/norm" in row]
    assert len(rows) == 4
    for row in rows:
        parts = [value for name, value in row.items() if name.startswith("gradient_norm/")]
        assert sum(value**2 for value in parts) ** 0.5 == pytest.approx(row["gradient_clipping/norm"], rel=1e-4)
        assert row["gradient_clipping/norm"] > 0.1


def test_norms_of_the_layer_groups_are_torchs() -> None:
    model = classifier()
    optimizer = torch.optim.SGD([{"params": [p], "name": f"group{i}"} for i, p in enumerate(model.parameters())], lr=1)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    norms = norms_by_group(optimizer)
    for i, parameter in enumerate(model.parameters()):
        assert parameter.grad is not None
        torch.testing.assert_close(norms[f"group{i}"], parameter.grad.norm())


@pytest.mark.parametrize("fused", [False, True])
def test_under_fp16_norms_are_of_the_true_gradients_or_not_there(tmp_path: Path, fused: bool) -> None:
    fp16 = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))
    model = classifier(optimizer={"name": "adamw", "fused": fused})
    options: dict[str, Any] = {"default_root_dir": tmp_path, "log_every_n_steps": 1, "plugins": [fp16]}
    fit(model, digits(), Tracker(), max_epochs=1, **options)
    (run,) = sessions(tmp_path)
    norms = [row["gradient_norm/head"] for row in run.history if "gradient_norm/head" in row]
    assert run.column("lr/head")
    assert norms == [] if fused else max(norms) < 20  # not a thousand times as much


def test_a_run_that_is_resumed_stays_one_run_and_goes_on_where_it_was(tmp_path: Path) -> None:
    last = ModelCheckpoint(tmp_path, "last", every_n_epochs=1, save_top_k=-1)
    options: dict[str, Any] = {"default_root_dir": tmp_path, "enable_checkpointing": True, "log_every_n_steps": 1}
    fit(classifier(), digits(), Tracker(), two_stages(), last, max_epochs=2, **options)
    path = last.best_model_path or last.last_model_path
    again = ModelCheckpoint(tmp_path, "last")
    fit(classifier(), digits(), Tracker(), two_stages(), again, ckpt_path=path, max_epochs=-1, **options)
    first, second = sessions(tmp_path)
    assert first.run_id == second.run_id
    assert first.name == second.name
    steps = [max(first.column("trainer/global_step")), min(second.column("trainer/global_step"))]
    assert steps[0] <= steps[1]
    assert first.column("epoch")[-1] == 1
    assert second.column("epoch")[0] == 2


def test_a_fit_from_another_runs_checkpoint_is_a_run_of_its_own(tmp_path: Path) -> None:
    options: dict[str, Any] = {"enable_checkpointing": True}
    keep = ModelCheckpoint(tmp_path / "a", "last")
    fit(classifier(), digits(), Tracker(), keep, max_epochs=1, default_root_dir=tmp_path / "a", **options)
    again = ModelCheckpoint(tmp_path / "a", "last")
    path, folder = keep.best_model_path, tmp_path / "b"
    fit(classifier(), digits(), Tracker(), again, max_epochs=2, ckpt_path=path, default_root_dir=folder, **options)
    assert sessions(tmp_path / "a")[0].run_id != sessions(tmp_path / "b")[0].run_id


def test_checkpoints_stay_where_they_would_be_without_it(tmp_path: Path) -> None:
    judge = ModelCheckpoint(monitor="val_loss", filename="own")
    options: dict[str, Any] = {"default_root_dir": tmp_path, "enable_checkpointing": True, "log_every_n_steps": 0}
    fit(classifier(), digits(), Tracker(), judge, BestCheckpoint(), max_epochs=1, **options)
    assert Path(judge.best_model_path).parent == tmp_path / "checkpoints"
    (run,) = sessions(tmp_path)
    ((aliases, files),) = [found[1:] for found in run.artifacts if found[0].endswith("-best")]
    assert "best" in aliases
    assert files == ["best.ckpt"]


def test_figures_of_a_stage_are_of_its_own_validations(tmp_path: Path) -> None:
    stages = Stages([Stage("head", 2, train="head", lr=0.01), Stage("all", 2, lr=1e-3)])
    options: dict[str, Any] = {"default_root_dir": tmp_path, "check_val_every_n_epoch": 2}
    fit(classifier(), digits(), Tracker(), stages, max_epochs=-1, **options)
    (run,) = sessions(tmp_path)
    assert run.column("head/val_loss") + run.column("all/val_loss") == run.column("val_loss")
    assert len(run.column("all/train_loss")) == 2


def test_a_run_that_is_stopped_has_its_summary_and_a_failed_end(tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 6:
                raise RuntimeError("stop")

    summary = RunSummary(str(tmp_path), "digits")
    with pytest.raises(RuntimeError, match="stop"):
        fit(classifier(), digits(), Tracker(), Stop(), summary, max_epochs=2, default_root_dir=tmp_path)
    (run,) = sessions(tmp_path)
    assert run.exit_code == 1
    assert run.summary["run/global_step"] == 6


def test_a_slow_end_of_one_run_is_not_the_next_one(tmp_path: Path) -> None:
    first, second = (
        BackgroundWandbLogger(str(tmp_path / name), project="p", mode="offline", patience=5.0) for name in "ab"
    )
    assert first.experiment.id  # it has begun
    first.patience = 0.1
    done = threading.Event()
    first.submit(lambda run: done.wait())
    assert not first.close()
    second.log_metrics({"x": 1.0}, step=1)
    assert second.close()
    (run,) = sessions(tmp_path / "b")
    assert run.column("x") == [1.0]
    done.set()
    (late,) = sessions(tmp_path / "a")  # it ends, too
    assert late.exit_code == 0


def test_another_fit_is_another_run(tmp_path: Path) -> None:
    tracker = Tracker()
    for callback in (tracker, tracker, Tracker()):
        fit(classifier(), digits(), callback, max_epochs=1, default_root_dir=tmp_path)
    assert len({run.run_id for run in sessions(tmp_path)}) == 3


def test_a_wandb_that_cannot_be_imported_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = BackgroundWandbLogger(str(tmp_path), project="p", mode="offline")
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where one of its own needs is missing
    trainer, _ = fit(classifier(), digits(), max_epochs=1, default_root_dir=tmp_path, logger=logger)
    assert trainer.global_step == 4
    assert "W&B does not start (ModuleNotFoundError" in caplog.text


def test_a_validation_after_the_fit_is_of_the_same_run(tmp_path: Path) -> None:
    model, data = classifier(), digits()
    trainer, _ = fit(model, data, Tracker(), max_epochs=1, default_root_dir=tmp_path)
    trainer.validate(model, datamodule=data, verbose=False)
    first, second = sessions(tmp_path)
    assert first.run_id == second.run_id
    assert second.column("val_loss") == first.column("val_loss")
    assert second.exit_code == 0


def test_a_wandb_logger_of_the_user_is_used_beside_other_loggers(tmp_path: Path) -> None:
    theirs = WandbLogger(project="theirs", save_dir=tmp_path, offline=True)
    theirs._wandb_init.pop("anonymous", None)  # W&B warns of it
    fit(
        classifier(), digits(), Tracker(), max_epochs=1, default_root_dir=tmp_path, logger=[CSVLogger(tmp_path), theirs]
    )
    theirs.experiment.finish()
    (run,) = sessions(tmp_path)
    assert run.project == "theirs"
    assert run.config["environment"]["python"]
    assert run.column("all/val_loss")


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "wandb").write_text("in the way")
    trainer, _ = fit(classifier(), digits(), Tracker(), max_epochs=1, default_root_dir=tmp_path)
    assert trainer.global_step == 4
    assert "the run goes on without it" in caplog.text


BROKEN = """
import os, resource, socket, sys
from pathlib import Path
from lightning_recipes import WandbTracker
from tests.small import classifier, digits, fit

folder, how = Path(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", 0))  # takes connections and never says a word
port = listener.getsockname()[1]
if how == "down":
    listener.close()
os.environ.update(WANDB_BASE_URL=f"http://127.0.0.1:{port}", HOME=str(folder), NETRC=str(folder / "netrc"))
os.environ.pop("WANDB_API_KEY", None)
if how != "no key":
    os.environ["WANDB_API_KEY"] = 40 * "a"
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))  # no file grows longer, as on a disk that is full
tracker = WandbTracker(mode="offline" if how == "full" else "online", patience=2.0)
trainer, sha = fit(classifier(), digits(), tracker, max_epochs=2, default_root_dir=folder)
print("STEPS", trainer.global_step, sha)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["slow", "no key", "down", "full"])
def test_a_server_that_is_slow_or_down_no_key_and_a_full_disk_stop_nothing(tmp_path: Path, how: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("WANDB_MODE", "WANDB_SERVICE"):  # the latter is the running tests own W&B
        environment.pop(name, None)
    command = [sys.executable, "-c", BROKEN, str(tmp_path), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    _, sha = fit(classifier(), digits(), max_epochs=2)
    assert f"STEPS 8 {sha}" in done.stdout
    if how == "full":
        (folder,) = (tmp_path / "wandb").glob("offline-run-*")
        assert read_offline_run(folder).exit_code is None  # it did come to that
        return
    assert ("no API key" if how == "no key" else "out of reach") in done.stderr
    (run,) = sessions(tmp_path)
    assert len(run.column("val_loss")) == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "sometimes"}, "WandbTracker.mode: sometimes is not one of offline, online, disabled"),
        ({"most_rows": 0}, "WandbTracker.most_rows: 0 is not a number >= 1"),
        ({"patience": 0.0}, "WandbTracker.patience: 0.0 is not a number of seconds > 0"),
    ],
)
def test_a_bad_value_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        Tracker(**options)
