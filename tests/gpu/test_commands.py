"""A run on a GPU, and what is said of its file there and on a CPU."""

import json
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

import lightning_recipes
from lightning_recipes.__main__ import main
from tests.agreement import disagreements
from tests.small import GPU, QUIET, SMALL, classifier, digits, fit

EVERYTHING = """
    - class_path: lightning_recipes.EMA
      init_args: {decay: 0.9}
    - class_path: lightning_recipes.GradientClipping
    - class_path: lightning_recipes.LearningRateFinder
      init_args: {steps: 12, orders: 2, max_lr: 1.0, min_lr: 1.0e-4}
    - class_path: lightning_recipes.SnapshotEnsemble
    - class_path: lightning_recipes.MicroBatches
"""


@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
def test_a_run_is_what_its_file_does_here_and_on_a_cpu(precision: str) -> None:
    recipe = SMALL.replace("logger: false", f"precision: {precision}").replace("accelerator: cpu", "accelerator: gpu")
    recipe = recipe.replace("schedule: one_cycle", "schedule: {name: warm_restarts, cycle_epochs: 1}")
    Path("small.yaml").write_text(recipe.rstrip() + EVERYTHING)
    assert main(["fit", "--config", "small.yaml", "--run_dir", "run"]) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert torch.cuda.get_device_name() in Path("run/environment.json").read_text()
    loose = 0.0 if precision == "32-true" else 0.1
    assert not disagreements(Path("run"), data(), loose=loose, precision=precision, **GPU)
    model = lightning_recipes.load("run/checkpoints/best.ckpt")
    (there,) = pl.Trainer(**QUIET).validate(model, datamodule=data(), verbose=False)
    assert there["val_loss"] == pytest.approx(summary["val_loss"], rel=0.03 if loose else 1e-3)


def test_without_a_best_file_the_module_is_judged_where_it_trained_and_can_train_on(tmp_path: Path) -> None:
    more = [lightning_recipes.ErrorAnalysis(), lightning_recipes.MisclassifiedGradCAM(4)]
    model = classifier()
    fit(model, data(), *more, max_epochs=1, default_root_dir=str(tmp_path), **GPU)
    assert (tmp_path / "figures" / "gradcam.png").exists()
    trainer, _ = fit(model, data(), max_epochs=1, default_root_dir=str(tmp_path), **GPU)
    assert trainer.global_step > 0


def data() -> lightning_recipes.ImageDataModule:
    """As the recipe has it."""
    return digits(val_fraction=0.05, augment="light")
