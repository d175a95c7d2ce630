"""A run recorded from Python, against the same recipe trained by the command line.

Longer than other files: one run of the command line is trained for all of it.
"""

import csv
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import override

import lightning_recipes
from lightning_recipes import (
    BestCheckpoint,
    ErrorAnalysis,
    ImageClassifier,
    ImageDataModule,
    MisclassifiedGradCAM,
    RunRecorder,
    RunSummary,
    Stage,
    Stages,
    UserError,
    WandbTracker,
)
from lightning_recipes.__main__ import main
from lightning_recipes.models.fingerprint import weights_sha256
from tests.small import SMALL, classifier, digits
from tests.wandb_file import sessions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*tensorboardX.*",  # what Lightning's own logger would be; it is left out
    "ignore:.*multiple `ModelCheckpoint` callbacks.*",  # the last checkpoint is one to Lightning
)
RECIPE = SMALL.replace("  logger: false\n", "")
TIMES = ("seconds", "train_images_per_second", "stages")


def files(folder: Path) -> set[str]:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("wandb/")}


def contents(folder: Path, name: str = "summary.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / name).read_text())
    return loaded


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        found = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.startswith("throughput")} for row in found]


def small(*callbacks: pl.Callback, **options: Any) -> tuple[pl.Trainer, ImageClassifier, ImageDataModule]:
    """Return what the small recipe of the command line says, in Python."""
    pl.seed_everything(3, workers=True, verbose=False)
    data = ImageDataModule(
        "sklearn:digits", val_fraction=0.05, images_per_class=4, image_size=32, batch_size=10, num_workers=0
    )
    model = ImageClassifier(
        "test_resnet",
        pretrained="embedded:letters",
        freeze_norm_stats=True,
        num_classes=data.num_classes,
        class_names=data.classes,
        class_counts=data.class_counts,
        image_size=data.image_size,
    )
    stages = [
        Stage("head", epochs=2, train="head", lr=1e-2, cache_features=True),
        Stage("all", epochs=1, lr=1e-3, lr_decay=0.5, schedule="one_cycle"),
    ]
    usual = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 10, "max_epochs": -1}
    trainer = pl.Trainer(
        **{"accelerator": "cpu", "devices": 1, "deterministic": "warn", **usual, **options},
        callbacks=[*callbacks, Stages(stages)],
    )
    return trainer, model, data


def recorder(folder: Path, recipe: str = "") -> RunRecorder:
    """Return one that draws no more pictures than a test looks at."""
    return RunRecorder(folder, recipe, gradcam=MisclassifiedGradCAM(images=1))


def train(*callbacks: pl.Callback, ckpt_path: Path | None = None, **options: Any) -> str:
    trainer, model, data = small(*callbacks, **options)
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path)
    return weights_sha256(model)


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the command line."""
    folder = tmp_path_factory.mktemp("by_command")
    (folder / "small.yaml").write_text(RECIPE)
    assert main(["fit", "--config", str(folder / "small.yaml"), "--run_dir", str(folder / "run")]) == 0
    return folder / "run"


def test_python_records_what_the_command_line_records(
    by_command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sha = train(RunRecorder("mine/run", "small", gradcam=MisclassifiedGradCAM(images=2)))
    run = Path("mine/run")
    assert sha == contents(by_command)["weights_sha256"]
    assert files(run) == files(by_command) - {"config.yaml"}
    ours, theirs = ({k: v for k, v in contents(folder).items() if k not in TIMES} for folder in (run, by_command))
    assert ours == theirs
    stages = [[(s["name"], s["epochs"], s["base_lr"]) for s in contents(one)["stages"]] for one in (run, by_command)]
    assert stages[0] == stages[1]
    assert rows(run) == rows(by_command)
    for name in ("val_predictions.csv", "errors.json", "label_issues.csv", "figures/gradcam/mistakes.csv"):
        assert (run / name).read_bytes() == (by_command / name).read_bytes(), name
    assert "Traceback" not in (run / "report.html").read_text()
    assert (tracked := sessions(run)[0]).name == sessions(by_command)[0].name == "small/run"
    assert tracked.summary["run/val_accuracy"] == contents(run)["val_accuracy"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"], "Lightning's own log and checkpoint lie beside"


def test_the_list_is_in_the_order_in_which_they_act() -> None:
    own, saves = pl.Callback(), ModelCheckpoint()
    records = RunRecorder("run")
    listed = records.callbacks([saves, own], checkpoints=True, tracked=True)
    assert [type(callback).__name__ for callback in listed] == [
        "WandbTracker", "Callback", "ErrorAnalysis", "MisclassifiedGradCAM", "TrainingDoctor", "FirstLoss",
        "RunSummary", "RunFigures", "MadeImages", "PretrainingFigures", "RunReport", "RunRecorder",
        "ModelCheckpoint", "BestCheckpoint", "LastCheckpoint",
    ]  # fmt: skip
    assert (listed[1], listed[12]) == (own, saves)
    bare = records.callbacks([], checkpoints=False, tracked=False)
    assert [c for c in listed[2:12] if c not in bare] == [] == bare[10:]
    pickle.loads(pickle.dumps(records))  # as a trainer is that spawns its processes


def test_its_best_checkpoint_does_what_the_summary_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(RunRecorder(tmp_path / "run"), logger=False)
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert main(["validate", "--ckpt_path", str(best)]) == 0
    assert f"{contents(tmp_path / 'run')['val_accuracy']:.4f}" in capsys.readouterr().out
    assert lightning_recipes.load(best).class_names == list("0123456789")
    assert contents(tmp_path / "run")["recipe"] == "run"
    assert not (tmp_path / "run" / "wandb").exists()


@pytest.mark.parametrize("end", [pytest.param({"max_epochs": 2}, marks=pytest.mark.slow), {"max_steps": 6}])
def test_a_run_goes_on_from_its_last_checkpoint_to_the_same_end(
    end: dict[str, Any], by_command: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(recorder(run, "small"), logger=False, **end)
    assert contents(run)["finished"] is False
    assert f"trainer.fit(model, datamodule=data, ckpt_path=&#39;{run}" in (run / "report.html").read_text()
    sha = train(recorder(run, "small"), logger=False, ckpt_path=run / "checkpoints" / "last.ckpt")
    assert sha == contents(by_command)["weights_sha256"]
    ours, theirs = ({k: v for k, v in contents(folder).items() if k not in TIMES} for folder in (run, by_command))
    assert ours == theirs
    assert [row["step"] for row in rows(run)] == [row["step"] for row in rows(by_command)]


class FailsIn(pl.Callback):
    """A fault of somebody's own."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    @override
    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, i: int) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("a fault")


def test_a_run_that_failed_is_recorded_and_goes_on(by_command: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="a fault"):
        train(recorder(run), FailsIn(1), logger=False)
    assert (contents(run)["stopped_by"], contents(run)["epochs"]) == ("exception", 1)
    sha = train(recorder(run), logger=False, ckpt_path=run / "checkpoints" / "last.ckpt")
    assert sha == contents(by_command)["weights_sha256"]
    with pytest.raises(RuntimeError, match="a fault"):
        train(RunRecorder(tmp_path / "other"), FailsIn(0), logger=False)
    assert not (tmp_path / "other").exists()


def test_a_folder_that_holds_a_run_is_refused_and_stays_as_it_is(by_command: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recorder(run), logger=False, max_epochs=1)
    before = {name: (run / name).read_bytes() for name in files(run)}
    with pytest.raises(UserError, match=r"RunRecorder\.folder: '.*run' holds a run; go on with it by trainer\.fit"):
        train(recorder(run))
    other = by_command / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match="holds a run"):
        train(recorder(run), ckpt_path=other)
    assert {name: (run / name).read_bytes() for name in files(run)} == before


def test_a_start_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="label_folds"):
        train(RunRecorder(tmp_path / "deep" / "run", errors=ErrorAnalysis(label_folds=9)))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"RunRecorder\.folder: '.*' is a file; name a folder that can be written"):
        train(RunRecorder(tmp_path / "file" / "run"))


def test_a_folder_in_use_by_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys, time; from lightning_recipes.run.folder import RunFolder; from pathlib import Path\n"
        "RunFolder(Path(sys.argv[1])).claim(); print('has it', flush=True); time.sleep(120)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(lightning_recipes.__file__).parents[1])}
    words = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "has it\n"
        with pytest.raises(UserError, match=r"RunRecorder\.folder: '.*' is in use by another process"):
            train(recorder(tmp_path / "run"))
        other.kill()


def test_what_is_listed_takes_the_recorders_place(tmp_path: Path) -> None:
    own = [MisclassifiedGradCAM(images=2), WandbTracker(project="mine"), ModelCheckpoint(monitor="val_loss")]
    log = CSVLogger(str(tmp_path / "log"))
    trainer, model, data = small(recorder(tmp_path / "run"), *own, logger=log)
    trainer.fit(model, datamodule=data)
    names = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    assert names[-3:] == ["ModelCheckpoint", "BestCheckpoint", "LastCheckpoint"]
    assert {f"figures/gradcam/{number:02d}.png" for number in range(2)} <= files(tmp_path / "run")
    assert "figures/gradcam/02.png" not in files(tmp_path / "run")
    assert sessions(tmp_path / "run")[0].project == "mine"
    assert len(files(tmp_path / "log")) == 2, "a logger of one's own logs beside"
    saved = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert len(saved - {"best.ckpt", "last.ckpt", "previous.ckpt"}) == 1


def test_a_summary_or_a_second_recorder_beside_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="RunSummary is a part of RunRecorder, which is there; leave it out"):
        train(RunRecorder(tmp_path / "run"), RunSummary(str(tmp_path)))
    with pytest.raises(UserError, match="RunRecorder is there more than once"):
        train(RunRecorder(tmp_path / "run"), RunRecorder(tmp_path / "other"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`.*")
def test_a_classifier_without_a_data_module_is_refused(tmp_path: Path) -> None:
    trainer, model, _ = small(recorder(tmp_path / "run"))
    with pytest.raises(UserError, match="RunRecorder: needs a data module"):
        trainer.fit(model, [torch.zeros(1)])
    assert list(tmp_path.iterdir()) == []


def test_without_checkpoints_it_writes_all_the_rest(by_command: Path, tmp_path: Path) -> None:
    train(recorder(tmp_path / "run"), logger=False, enable_checkpointing=False)
    missing = {name for name in files(by_command) if name.startswith("checkpoints/")}
    written = {name for name in files(tmp_path / "run") if not name.startswith("figures/gradcam/")}
    assert written == {n for n in files(by_command) if not n.startswith("figures/gradcam/")} - missing - {"config.yaml"}


def test_a_fast_dev_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(RunRecorder("run"), fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


class Regression(pl.LightningModule):
    """A module that knows no classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    @override
    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = (self.layer(batch[0]) - batch[1]).square().mean()
        return loss

    @override
    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.log("val_loss", (self.layer(batch[0]) - batch[1]).square().mean())

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_module_of_anyones_is_recorded_as_far_as_it_goes(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(torch.randn(32, 3), torch.randn(32, 1)), 8)
    records = RunRecorder(tmp_path, best_checkpoint=BestCheckpoint("val_loss", "min"))
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=2, logger=False, callbacks=[records], **quiet)  # type: ignore[arg-type]
    trainer.fit(Regression(), loader, loader)
    assert (contents(tmp_path)["epochs"], contents(tmp_path)["finished"]) == (2, True)
    saved = {f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")}
    written = {"environment.json", "metrics.csv", "report.html", "summary.json", "symptoms.json"}
    assert files(tmp_path) == saved | written | {"figures/curves.png"}


def test_what_the_trainer_does_after_the_fit_is_no_part_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer, model, data = small(recorder(run), logger=False)
    trainer.fit(model, datamodule=data)
    before = {name: (run / name).read_bytes() for name in files(run)}
    (metrics,) = trainer.validate(datamodule=data, ckpt_path="best", verbose=False)
    assert metrics["val_accuracy"] == pytest.approx(contents(run)["val_accuracy"])
    assert {name: (run / name).read_bytes() for name in files(run)} == before
    trainer.fit_loop.max_epochs = 3  # the second fit goes on where the first ended: there is nothing left
    trainer.fit(model, datamodule=data)
    assert contents(run)["epochs"] == 3
    assert rows(run)[-1]["epoch"] == "2"


def test_a_second_fit_of_the_same_trainer_goes_on_in_its_folder(tmp_path: Path) -> None:
    """Without stages, whose plan says when a run ends."""
    data = digits(val_fraction=0.05)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[recorder(tmp_path / "run")], log_every_n_steps=1,
    )  # fmt: skip
    model = classifier()
    trainer.fit(model, datamodule=data)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model, datamodule=data)
    assert contents(tmp_path / "run")["epochs"] == 2
    assert {row["epoch"] for row in rows(tmp_path / "run")} == {"0", "1"}
    assert len({row["step"] for row in rows(tmp_path / "run")}) == 8


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
def test_two_processes_write_one_run(tmp_path: Path) -> None:
    train(recorder(tmp_path / "run"), strategy="ddp_fork", devices=2, logger=False)
    summary = contents(tmp_path / "run")
    assert (summary["finished"], summary["epochs"]) == (True, 3)
    assert {"checkpoints/best.ckpt", "metrics.csv", "report.html", "environment.json"} <= files(tmp_path / "run")
    with pytest.raises(Exception, match="holds a run"):
        train(recorder(tmp_path / "run"), strategy="ddp_fork", devices=2, logger=False)


def test_the_seconds_of_a_run_that_goes_on_are_all_of_them(tmp_path: Path) -> None:
    summary = RunSummary(str(tmp_path))
    summary.load_state_dict({**summary.state_dict(), "seconds": 3600.0})
    assert summary.seconds() >= 3600
