"""W&B: the offline run holds everything, stays one run over a resume, and a broken W&B stops nothing."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from lightning_recipes import (
    ErrorAnalysis,
    MisclassifiedGradCAM,
    RunSummary,
    SnapshotEnsemble,
    Stage,
    Stages,
    UserError,
)
from lightning_recipes import WandbTracker as Tracker
from lightning_recipes.optim.gradients import norms_by_group
from lightning_recipes.run_contents import RunContents
from lightning_recipes.wandb_page import tables_of
from tests.small import classifier, digits, fit, two_stages
from tests.wandb_file import sessions

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def cycles() -> Stages:
    sgdr = {"name": "warm_restarts", "cycle_epochs": 1}
    return Stages([Stage("head", 1, train="head", lr=0.01), Stage("all", 2, lr=3e-3, schedule=sgdr)])


def test_a_run_has_figures_by_stage_rates_norms_tables_and_artifacts_and_trains_as_without_it(tmp_path: Path) -> None:
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

    tracker = Tracker(project="digits", name="mine")
    assert train(tmp_path / "with", tracker) == train(tmp_path / "without")
    (run,) = sessions(tmp_path / "with")
    assert (run.run_id, run.project, run.name, run.exit_code) == (tracker.run_id, "digits", "mine", 0)
    assert run.config["lr"] == 1e-3
    assert run.config["environment"]["packages"]["torch"] == version("torch")
    assert len(run.config["environment"]["git"]["commit"]) == 40
    assert len(run.column("head/val_loss")) == 1
    assert len(run.column("all/val_loss")) == 2
    assert run.column("head/val_loss") + run.column("all/val_loss") == run.column("val_loss")
    assert run.column("lr/head") == pytest.approx(run.column("lr/head"))
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


def test_gradient_norms_are_those_of_the_gradients_before_clipping() -> None:
    model = classifier()
    optimizer = torch.optim.SGD([{"params": [p], "name": f"group{i}"} for i, p in enumerate(model.parameters())], lr=1)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    norms = norms_by_group(optimizer)
    for i, parameter in enumerate(model.parameters()):
        assert parameter.grad is not None
        torch.testing.assert_close(norms[f"group{i}"], parameter.grad.norm())


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


def test_another_fit_is_another_run(tmp_path: Path) -> None:
    for _ in range(2):
        fit(classifier(), digits(), Tracker(), max_epochs=1, default_root_dir=tmp_path)
    assert len({run.run_id for run in sessions(tmp_path)}) == 2


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
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # no file grows longer, as on a disk that is full
tracker = WandbTracker(mode="offline" if how == "full" else "online", patience=2.0)
trainer, sha = fit(classifier(), digits(), tracker, max_epochs=2, default_root_dir=folder)
print("STEPS", trainer.global_step, sha)
"""


@pytest.mark.parametrize(
    "how", ["slow", *(pytest.param(how, marks=pytest.mark.slow) for how in ("no key", "down", "full"))]
)
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
        assert max(path.stat().st_size for path in tmp_path.rglob("*.wandb")) <= 30_000
        return
    assert ("no API key" if how == "no key" else "out of reach") in done.stderr
    (run,) = sessions(tmp_path)
    assert len(run.column("val_loss")) == 2


def test_tables_put_the_surest_mistakes_first_and_keep_to_their_size(tmp_path: Path) -> None:
    rows = ["a.png,cat,cat,0.9", "b.png,cat,dog,0.6", "c.png,dog,cat,0.8"]
    (tmp_path / "val_predictions.csv").write_text("\n".join(["path,true,predicted,probability", *rows]) + "\n")
    some = {"value": 0.5, "low": 0.1, "high": 0.9}
    classes = [{"name": n, "images": 2, "recall": some, "precision": None, "f1": some} for n in ("cat", "dog")]
    (tmp_path / "errors.json").write_text(json.dumps({"classes": classes, "confusion_matrix": [[1, 1], [1, 0]]}))
    tables = tables_of(RunContents(tmp_path), most_rows=2)
    assert [row[0] for row in tables["predictions"][1]] == ["c.png", "b.png"]
    assert tables["confusion_matrix"][1] == [["cat", "cat", 1], ["cat", "dog", 1]]
    assert tables["classes"][0][:4] == ["class", "images", "recall", "recall_low"]
    assert tables["classes"][1][0] == ["cat", 2, 0.5, 0.1, 0.9, None, None, None, 0.5, 0.1, 0.9]
    assert "label_issues" not in tables


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
