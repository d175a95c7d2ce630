"""Several labels an image, typed: every command on a run, and what its folder holds."""

import csv
import json
from pathlib import Path

import pytest

from lightning_recipes.__main__ import main
from tests.shapes import LABELS, draw_shapes
from tests.wandb_file import sessions

RECIPE = """
seed_everything: 1
data: {root: DATA, image_size: 32, batch_size: 32, num_workers: 0}
model: {backbone: test_resnet, pretrained: false, task: multilabel, lr: 0.01}
gradcam: {images: 2}
trainer:
  accelerator: cpu
  max_epochs: 2
  enable_progress_bar: false
"""
FILES = (
    "config.yaml", "metrics.csv", "summary.json", "val_predictions.csv", "errors.json", "label_issues.csv",
    "environment.json", "report.html", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "figures/curves.png",
    "figures/schedule.png", "figures/label_errors.png", "figures/calibration.png", "figures/gradcam.png",
)  # fmt: skip


OWN = """
from lightning_recipes import ImageDataModule


class Mine(ImageDataModule):
    def __init__(self, *args, more=1, **kwargs):
        super().__init__(*args, **kwargs)
"""


def test_a_data_module_of_ones_own_that_hands_on_its_arguments_is_told_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    manifest = draw_shapes(tmp_path / "shapes")
    (tmp_path / "own_labelled.py").write_text(OWN)
    (tmp_path / "shapes.yaml").write_text(RECIPE.replace("DATA", str(manifest)))
    words = ["--data", "own_labelled.Mine", "--data.root", str(manifest), "--data.image_size", "32"]
    assert main(["fit", "--config", "shapes.yaml", *words, "--trainer.fast_dev_run", "true"]) == 0


def test_fit_validate_predict_and_explain(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest, run = draw_shapes(tmp_path / "shapes"), tmp_path / "run"
    (tmp_path / "shapes.yaml").write_text(RECIPE.replace("DATA", str(manifest)))
    assert main(["fit", "--config", "shapes.yaml", "--run_dir", "run"]) == 0
    assert not [name for name in FILES if not (run / name).is_file()]
    summary, said = json.loads((run / "summary.json").read_text()), capfd.readouterr().out
    assert f"{100 * summary['val_map']:.1f} %" in said
    assert "Mean average precision" in (run / "report.html").read_text()
    (tracked,) = sessions(run)
    assert tracked.summary["run/val_map"] == summary["val_map"]
    assert tracked.summary["predictions/nrows"] == summary["val_images"]
    best = "run/checkpoints/best.ckpt"
    assert main(["validate", "--ckpt_path", best, "--views", "flip"]) == 0
    assert main(["validate", "--ckpt_path", best, "--out", "said.json"]) == 0
    found = json.loads(Path("said.json").read_text())
    assert found["val_map"]["ci95"] == pytest.approx(summary["val_map_ci95"])
    assert found["val_f1"] == {"value": pytest.approx(summary["val_f1"]), "ci95": summary["val_f1_ci95"]}
    assert found["val_loss"] == {"value": pytest.approx(summary["val_loss"], rel=1e-3), "ci95": None}
    assert f"{summary['val_map']:.4f}" in capfd.readouterr().out
    assert main(["predict", "--ckpt_path", best, "--data.predict_root", "shapes", "--views", "flip"]) == 0
    assert main(["predict", "--ckpt_path", best, "--data.predict_root", "shapes"]) == 0
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    for row in rows:
        there = {name for name in LABELS if float(row[name]) >= 0.5}
        assert {*row["predicted"].split("|")} - {""} == there
    (run / "figures" / "gradcam.png").unlink()
    assert main(["explain", "--ckpt_path", best]) == 0
    assert (run / "figures" / "gradcam.png").is_file()


def test_labels_of_several_classes_without_the_task_name_the_key(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = draw_shapes(tmp_path / "shapes", images=20)
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(row for row in rows if not row.endswith(",")))  # each has a label
    (tmp_path / "shapes.yaml").write_text(RECIPE.replace("DATA", str(manifest)).replace("task: multilabel, ", ""))
    assert main(["fit", "--config", str(tmp_path / "shapes.yaml"), "--run_dir", str(tmp_path / "run")]) == 2
    assert "or set model.task: multilabel" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
