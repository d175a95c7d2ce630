"""The command line as a person uses it: a run and its folder, evaluation, one's own classes, and every mistake.

Longer than other files: one run is trained for most of it.
"""

import csv
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_recipes.__main__ import COMMANDS, help_text, main
from lightning_recipes.evaluation.intervals import wilson_interval
from tests.pictures import class_folders, picture
from tests.small import SMALL, UNREPORTED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the small recipe, made once."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SMALL)
    assert main(["fit", "--config", str(folder / "small.yaml"), "--run_dir", str(folder / "run")]) == 0
    return folder


def summary(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return loaded


def test_a_run_fills_its_folder(finished: Path) -> None:
    run = finished / "run"
    for name in (
        "config.yaml",
        "metrics.csv",
        "summary.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "figures/curves.png",
        "figures/schedule.png",
    ):
        assert (run / name).stat().st_size > 0, name
    s = summary(run)
    assert (s["recipe"], s["seed"], s["epochs"], s["global_step"]) == ("small", 3, 3, 12)
    assert [(stage["name"], stage["epochs"], stage["base_lr"]) for stage in s["stages"]] == [
        ("head", 2, 0.01), ("all", 1, 0.001)
    ]  # fmt: skip
    assert s["train_images_per_second"] > 0
    with (run / s["val_predictions"]).open() as file:
        rows = list(csv.DictReader(file))
    hits = sum(row["true"] == row["predicted"] for row in rows)
    assert s["val_accuracy"] == hits / len(rows)
    assert s["val_accuracy_ci95"] == pytest.approx(wilson_interval(hits, len(rows)))
    assert list(rows[0]) == ["path", "true", "predicted", "probability", "log_loss", "sha256"]


def test_a_fast_dev_run_says_that_it_works_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL.replace("logger: false", ""))
    assert main(["fit", "--config", "small.yaml", "--trainer.fast_dev_run", "true"]) == 0
    assert "works from end to end" in capsys.readouterr().out
    assert [path.name for path in tmp_path.rglob("*")] == ["small.yaml"]


def test_its_own_config_makes_the_run_again_to_the_bit(finished: Path, tmp_path: Path) -> None:
    assert main(["fit", "--config", str(finished / "run" / "config.yaml")]) == 0
    again = tmp_path / "runs" / "small" / "0"
    assert summary(again)["weights_sha256"] == summary(finished / "run")["weights_sha256"]
    first, second = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (finished / "run", again))
    assert first == second


def test_validate_finds_the_accuracy_of_the_summary(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished / "run"
    words = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/best.ckpt")]
    assert main(["validate", *words]) == 0
    assert f"{summary(run)['val_accuracy']:.4f}" in capsys.readouterr().out
    assert main(["validate", *words, "--verbose", "false"]) == 0
    assert capsys.readouterr().out == ""


def test_validate_writes_each_metric_with_its_interval(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = finished / "run", tmp_path / "said.json"
    words = ["validate", "--ckpt_path", str(run / "checkpoints/best.ckpt"), "--out"]
    assert main([*words, str(out)]) == 0
    found, reported = json.loads(out.read_text()), summary(run)
    assert found["images"] == reported["val_images"]
    assert found["val_accuracy"]["value"] == pytest.approx(reported["val_accuracy"])
    assert found["val_accuracy"]["ci95"] == pytest.approx(reported["val_accuracy_ci95"])
    assert found["val_loss"]["value"] == pytest.approx(reported["val_loss"], rel=1e-4)
    for name in ("val_loss", "val_f1", "val_ece"):
        low, high = found[name]["ci95"]
        assert low < found[name]["value"] < high
    assert main([*words, str(out / "said.json")]) == 2  # below a file
    assert "out: " in capsys.readouterr().err


def test_validate_writes_the_rows_that_runs_are_compared_by(finished: Path, tmp_path: Path) -> None:
    run = finished / "run"
    checkpoint = str(run / "checkpoints/best.ckpt")
    assert main(["validate", "--ckpt_path", checkpoint, "--predictions", str(tmp_path / "rows.csv")]) == 0
    tables = []
    for path in (run / "val_predictions.csv", tmp_path / "rows.csv"):
        with path.open() as file:
            tables.append(list(csv.DictReader(file)))
    for first, second in zip(*tables, strict=True):
        for name in ("path", "true", "predicted", "sha256"):
            assert first[name] == second[name] != ""
        assert float(first["log_loss"]) == pytest.approx(float(second["log_loss"]), abs=1e-4)
        if first["true"] == first["predicted"]:
            assert float(first["log_loss"]) == pytest.approx(-math.log(float(first["probability"])), abs=1e-5)
    losses = [float(row["log_loss"]) for row in tables[0]]
    assert sum(losses) / len(losses) == pytest.approx(summary(run)["val_loss"], abs=1e-4)


def test_predict_writes_a_row_an_image_with_names(finished: Path, tmp_path: Path) -> None:
    run = finished / "run"
    for number in range(3):
        picture(tmp_path / "new" / f"{number}.png", number)
    words = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/best.ckpt")]
    assert main(["predict", *words, "--data.predict_root", str(tmp_path / "new")]) == 0
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["0.png", "1.png", "2.png"]
    for row in rows:
        probabilities = {name: float(row[name]) for name in "0123456789"}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert row["predicted"] == max(probabilities, key=lambda name: probabilities[name])


def test_a_picture_that_cannot_be_read_ends_predict_or_is_left_out(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        picture(tmp_path / "new" / f"{number}.png", number)
    (tmp_path / "new" / "cut.png").write_bytes((tmp_path / "new" / "0.png").read_bytes()[:40])
    words = ["predict", "--ckpt_path", str(finished / "run/checkpoints/best.ckpt"), "--run_dir", str(tmp_path / "said")]
    words += ["--data.predict_root", str(tmp_path / "new")]
    assert main([*words, "--data.on_bad_image", "error"]) == 2
    assert "data.on_bad_image: 1 file is no whole picture" in capsys.readouterr().err
    with pytest.warns(UserWarning, match=r"1 files are skipped: cut\.png") as warned:
        assert main([*words, "--data.on_bad_image", "skip"]) == 0
    one = next(one for one in warned if "skipped" in str(one.message))
    shown = warnings.formatwarning(one.message, one.category, one.filename, one.lineno)
    assert shown.startswith("lightning-recipes: data.on_bad_image: 1 files are skipped")  # and no line of the package
    with (tmp_path / "said" / "predictions.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["0.png", "1.png"]


def test_a_limit_that_is_spent_is_said_again_and_no_epoch_is_forgotten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    run = tmp_path / "run"
    words = ["--run_dir", str(run), *UNREPORTED]
    assert main(["fit", "--config", str(tmp_path / "small.yaml"), *words, "--trainer.max_steps", "6"]) == 0
    first = summary(run)
    assert (first["epochs"], first["stopped_by"]) == (2, "max_steps")
    capsys.readouterr()
    assert main(["fit", "--config", str(run / "config.yaml"), *words, "--ckpt_path", "last"]) == 0
    said = capsys.readouterr().out
    assert "Ended by trainer.max_steps after 2 of 3 epochs" in said
    assert "Nothing was left to train" not in said
    again = summary(run)
    assert {key: again[key] for key in ("epochs", "global_step", "stopped_by", "weights_sha256")} == {
        key: first[key] for key in ("epochs", "global_step", "stopped_by", "weights_sha256")
    }
    assert [stage["epochs"] for stage in again["stages"]] == [stage["epochs"] for stage in first["stages"]]


def test_a_run_is_never_overwritten(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "run" / "summary.json").read_bytes()
    assert main(["fit", "--config", str(finished / "small.yaml"), "--run_dir", str(finished / "run")]) == 2
    assert "holds a run; go on with it by --ckpt_path last" in capsys.readouterr().err
    assert (finished / "run" / "summary.json").read_bytes() == before


def test_going_on_where_nothing_was_written_starts_from_the_beginning(finished: Path, tmp_path: Path) -> None:
    words = ["fit", "--config", str(finished / "small.yaml"), "--run_dir", str(tmp_path / "run"), "--ckpt_path", "last"]
    assert main([*words, *UNREPORTED]) == 0
    assert summary(tmp_path / "run")["weights_sha256"] == summary(finished / "run")["weights_sha256"]


def test_the_command_line_wins_over_recipe_and_checkpoint(finished: Path, tmp_path: Path) -> None:
    words = ["fit", "--config", str(finished / "small.yaml"), "--run_dir", str(tmp_path / "run"), "--model.lr", "0.25"]
    assert main([*words, *UNREPORTED, "--trainer.max_epochs", "1", "--seed_everything", "5"]) == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["model"]["init_args"]["lr"], config["seed_everything"]) == (0.25, 5)
    assert summary(tmp_path / "run")["epochs"] == 1
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert saved["hyper_parameters"]["lr"] == 0.25


def test_going_on_with_another_recipe_is_said_and_kept_beside_the_first(finished: Path, tmp_path: Path) -> None:
    words = ["fit", "--config", str(finished / "small.yaml"), "--run_dir", str(tmp_path / "run"), *UNREPORTED]
    assert main([*words, "--trainer.max_epochs", "1"]) == 0
    with pytest.warns(UserWarning, match=r"another recipe than it was last trained with:\n  trainer\.max_epochs: "):
        assert main([*words, "--ckpt_path", "last", "--model.lr", "0.5"]) == 0
    assert (tmp_path / "run" / "config-1.yaml").exists()
    assert summary(tmp_path / "run")["epochs"] == 3


def test_skipped_files_are_counted_in_the_summary_and_said(finished: Path, tmp_path: Path) -> None:
    class_folders(tmp_path / "data", 8)
    (tmp_path / "data" / "ants" / "bad.png").write_bytes(b"")
    words = ["fit", "--config", str(finished / "small.yaml"), "--run_dir", str(tmp_path / "run")]
    words += ["--data.root", str(tmp_path / "data"), "--data.images_per_class", "null", "--data.val_fraction", "0.25"]
    words += [*UNREPORTED, "--trainer.max_epochs", "1"]
    with pytest.warns(UserWarning, match=r"1 files are skipped: ants/bad\.png \(empty\)"):
        assert main([*words, "--data.on_bad_image", "skip"]) == 0
    assert summary(tmp_path / "run")["skipped_files"] == 1


@pytest.mark.filterwarnings("ignore:LearningRateFinder. stage")  # so small a network may have nothing left to learn
def test_lr_find_reports_a_stage_and_trains_nothing(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, checkpoint = tmp_path / "found", finished / "run" / "checkpoints" / "last.ckpt"
    words = ["lr-find", "--config", str(finished / "run" / "config.yaml"), "--run_dir", str(run)]
    words += ["--steps", "15"]
    assert main([*words, "--orders", "1", "--stage", "all", "--max_lr", "1.0", "--ckpt_path", str(checkpoint)]) == 0
    assert "Range test of stage 'all' (recipe: 0.001)" in " ".join(capsys.readouterr().out.split())
    found = json.loads((run / "lr_finder.json").read_text())
    assert list(found) == ["all"]
    assert found["all"]["applied"] is False
    assert len(found["all"]["rates"]) <= 15
    assert {path.name for path in run.iterdir()} == {"figures", "lr_finder.json"}
    assert main([*words, "--stage", "al"]) == 2
    assert "there is no stage 'al'; did you mean all?" in capsys.readouterr().err


def test_snapshots_are_summed_up_and_taken_where_a_checkpoint_is(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = SMALL.replace("{name: all, epochs: 1, lr: 1.0e-3, lr_decay: 0.5, schedule: one_cycle}", CYCLES)
    (tmp_path / "cycles.yaml").write_text(recipe)
    run = tmp_path / "run"
    assert main(["fit", "--config", str(tmp_path / "cycles.yaml"), "--run_dir", str(run), *UNREPORTED]) == 0
    assert "ensemble of 2 snapshots" in capsys.readouterr().out
    s = summary(run)
    assert [(row["path"], row["epoch"]) for row in s["snapshots"]] == [
        ("snapshots/cycle_01.safetensors", 2), ("snapshots/cycle_02.safetensors", 4)
    ]  # fmt: skip
    low, high = s["ensemble_val_accuracy_ci95"]
    assert low < s["ensemble_val_accuracy"] < high
    assert [row["stage"] for row in s["lr_found"]] == ["head"]
    assert s["stages"][0]["base_lr"] == s["lr_found"][0]["lr"] != 0.01
    words = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "snapshots")]
    assert main(["validate", *words]) == 0
    assert f"{s['ensemble_val_accuracy']:.4f}" in capsys.readouterr().out
    assert main(["predict", *words]) == 0
    assert len((run / "predictions.csv").read_text().splitlines()) == s["val_images"] + 1
    assert main(["validate", *words[:2], "--ckpt_path", str(run / "figures")]) == 2
    assert "holds no snapshots" in capsys.readouterr().err


CYCLES = """{name: all, epochs: 3, lr: 1.0e-3, schedule: {name: warm_restarts, cycle_epochs: 1, cycle_mult: 2}}
    - class_path: lightning_recipes.LearningRateFinder
      init_args: {stages: [head], steps: 30, orders: 1}
    - class_path: lightning_recipes.SnapshotEnsemble"""
MINE = '''
from lightning_recipes import ImageClassifier
from torch import nn

class MyClassifier(ImageClassifier):
    """A head of two layers."""

    def __init__(self, *args, hidden: int = 8, **kwargs) -> None:
        self.hidden = hidden
        super().__init__(*args, **kwargs)

    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        return nn.Sequential(nn.Linear(num_features, self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.num_classes))
'''


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_class_of_ones_own_is_named_from_the_folder_the_command_is_typed_in(
    in_process: bool, finished: Path, tmp_path: Path
) -> None:
    def typed(*words: str) -> None:
        if in_process:
            assert main(words) == 0
            del sys.modules["my_project"]  # as in a process of its own, the next command looks for it anew
        else:
            command = [sys.executable, "-m", "lightning_recipes", *words]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
            assert done.returncode == 0, done.stderr

    Path("my_project.py").write_text(MINE)
    words = ["--config", str(finished / "small.yaml"), "--run_dir", "run", *UNREPORTED]
    typed("fit", *words, "--model", "my_project.MyClassifier", "--model.hidden", "6")
    weights = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert weights["head.0.weight"].shape[0] == 6
    typed("validate", "--config", "run/config.yaml", "--ckpt_path", "run/checkpoints/best.ckpt")


def wrong_data(change: Callable[[Path], Any]) -> Callable[[Path], list[str]]:
    def words(folder: Path) -> list[str]:
        class_folders(folder / "data", 6)
        change(folder / "data")
        return ["--data.root", str(folder / "data"), "--data.images_per_class", "null"]

    return words


def misfit(folder: Path) -> list[str]:
    torch.save({"conv1.weight": torch.zeros(2, 2)}, folder / "w.pth")
    return ["--model.pretrained", str(folder / "w.pth")]


def unwritable(folder: Path) -> list[str]:
    (folder / "file").write_text("")
    return ["--run_dir", str(folder / "file" / "run")]


MISTAKES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing root": (lambda f: ["--data.root", str(f / "no")], "data.root: "),
    "no images": (lambda f: ["--data.root", str(f)], "data.root: "),
    "an empty class": (wrong_data(lambda d: (d / "wasps").mkdir()), "class 'wasps' has no images"),
    "an empty file": (wrong_data(lambda d: (d / "ants" / "0.png").write_bytes(b"")), "ants/0.png (empty)"),
    "an unknown backbone": (
        lambda f: ["--model.backbone", "resnet81"],
        "model.backbone: 'resnet81' is not a timm model",
    ),
    "an unknown key": (lambda f: ["--model.lrr", "3"], "model.lrr: there is no such key; did you mean lr?"),
    "an unknown key at the top": (lambda f: ["--modle.lr", "3"], "--modle.lr"),
    "an unknown value": (lambda f: ["--data.on_bad_image", "ignore"], "data.on_bad_image: "),
    "a value of another type": (lambda f: ["--model.lr", "fast"], "model.lr: 'fast' is not of type float"),
    "a value that is none of several": (
        lambda f: ["--trainer.precision", "16-mixd"],
        "64-true, 64, 32, 16, bf16, null; did you mean 16-mixed, bf16-mixed?",
    ),
    "a value that is neither true, false nor a name": (
        lambda f: ["--data.balance", "batch"],
        "data.balance: 'batch' is not one of true, false, batches; did you mean batches?",
    ),
    "a null": (
        lambda f: ["--model.lr", "null"],
        "model.lr: null is no value of it; leave it out for its default, 0.001",
    ),
    "a barebones run": (lambda f: ["--trainer.barebones", "true"], "lightning-recipes: trainer.barebones: "),
    "a backbone in the model's place": (
        lambda f: ["--model", "resnet18"],
        "model: 'resnet18' is no class by its import path (to choose a backbone: --model.backbone resnet18)",
    ),
    "an unknown augmentation": (lambda f: ["--data.augment", "heavy"], "data.augment: 'heavy' is not a policy"),
    "an unknown optimizer": (
        lambda f: ["--model.optimizer", "adamq"],
        "model.optimizer: neither torch nor timm has 'adamq'",
    ),
    "an unknown schedule": (lambda f: ["--model.schedule", "cosin"], "model.schedule: 'cosin' is not a schedule"),
    "a size that is refused": (
        lambda f: ["--model.backbone", "levit_128s", "--model.pretrained", "false", "--data.image_size", "60"],
        "data.image_size: the backbone cannot take images of 60 px",
    ),
    "a batch too large": (
        lambda f: ["--data.batch_size", "41"],
        "data.batch_size: a batch of 41 is larger than the training set of 40",
    ),
    "weights that do not fit": (misfit, "does not fit test_resnet"),
    "no weights": (lambda f: ["--model.pretrained", str(f / "no.pth")], "model.pretrained: "),
    "a folder that cannot be written": (unwritable, "run_dir: "),
    "no checkpoint": (lambda f: ["--ckpt_path", str(f / "no.ckpt")], "ckpt_path: "),
    "a recipe that is missing": (lambda f: ["--config", str(f / "no.yaml")], "config: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_line_and_leaves_nothing_behind(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, text = MISTAKES[mistake]
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ["fit", "--config", str(tmp_path / "small.yaml"), "--run_dir", str(tmp_path / "run"), *make(tmp_path)]
    assert main(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert text in lines[-1]
    assert len(lines) == 1, lines
    assert not (tmp_path / "run").exists()


def test_a_command_without_a_recipe_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit"]) == 2
    line = (
        "lightning-recipes: data and model: not given; name a recipe, as in `lightning-recipes fit --config quickstart`"
    )
    assert capsys.readouterr().err.strip() == line


def test_a_checkpoint_of_other_classes_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_folders(tmp_path / "data", 6)
    words = ["--config", str(finished / "run/config.yaml"), "--ckpt_path", str(finished / "run/checkpoints/best.ckpt")]
    words += ["--data.root", str(tmp_path / "data"), "--data.images_per_class", "null", "--data.val_fraction", "0.5"]
    assert main(["validate", *words]) == 2
    assert "ckpt_path: the checkpoint has 10 classes, the data has 2" in capsys.readouterr().err


def test_the_table_of_help_is_that_of_the_real_command_line() -> None:
    assert all(name.replace("_", "-") in help_text() and row.help in help_text() for name, row in COMMANDS.items())


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fitt"]) == 2
    assert "'fitt' is not a command; did you mean fit?" in capsys.readouterr().err
