"""A run whose images have several labels, from drawn pictures to every file that a run has."""

import csv
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score

import lightning_recipes as lr
from lightning_recipes.modules.tasks.multilabel import Multilabel
from tests.shapes import LABELS, draw_shapes
from tests.small import fit

STAGES = [
    lr.Stage("head", epochs=1, train="head", lr=0.01, cache_features=True),
    lr.Stage("all", epochs=2, lr=0.01, schedule={"name": "warm_restarts", "cycle_epochs": 1, "cycle_mult": 1}),
]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_shapes(tmp_path_factory.mktemp("shapes"))


def train(
    manifest: Path, folder: Path, *callbacks: pl.Callback, ckpt_path: Path | None = None, **model: Any
) -> tuple[pl.Trainer, str]:
    """Three epochs with an average, mixing and snapshots."""
    data = lr.ImageDataModule(str(manifest), image_size=32, batch_size=32, task="multilabel", num_workers=0)
    torch.manual_seed(1)
    options = {"pretrained": False, "class_names": data.classes, "class_counts": data.class_counts, **model}
    module = lr.ImageClassifier("test_resnet", data.num_classes, task="multilabel", **options)
    techniques = [lr.Stages(STAGES), lr.Mixing(0.2, p=0.5), lr.EMA(0.9, 1), lr.SnapshotEnsemble(soup=False)]
    reports = [lr.ErrorAnalysis(), lr.MisclassifiedGradCAM(images=4), lr.RunSummary(str(folder)), lr.BestCheckpoint()]
    trainer = {"max_epochs": -1, "enable_checkpointing": True, "default_root_dir": str(folder)}
    return fit(module, data, *techniques, *reports, *callbacks, ckpt_path=ckpt_path, **trainer)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(manifest, folder)
    return folder


def content(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predictions(run: Path) -> tuple[list[dict[str, str]], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows, labels (N, C) and probabilities (N, C)."""
    rows = table(run / "val_predictions.csv")
    names = list(rows[0])[4:-1]  # between log_loss and sha256
    assert names == sorted(LABELS)
    true = np.array([[name in row["true"].split("|") for name in names] for row in rows])
    return rows, true, np.array([[float(row[name]) for name in names] for row in rows])


def test_the_summary_has_the_numbers_of_the_predictions_with_intervals(run: Path) -> None:
    summary, (_, true, p) = content(run, "summary.json"), predictions(run)
    assert "val_accuracy" not in summary
    assert summary["val_map"] == pytest.approx(average_precision_score(true, p, average="macro"), abs=1e-4)
    assert summary["val_f1"] == pytest.approx(f1_score(true, p >= 0.5, average="macro"), abs=1e-6)
    for name in ("val_map", "val_f1"):
        if summary[name] > 0:  # else nothing is told by drawing the same images again
            low, high = summary[f"{name}_ci95"]
            assert 0 < low < summary[name] < high < 1
    assert summary["snapshots"][0]["val_map"] > 0
    assert 0 < summary["ensemble_val_map"] <= 1


def test_the_predictions_are_those_of_the_file(run: Path, manifest: Path) -> None:
    rows, _, p = predictions(run)
    model = lr.load(run / "checkpoints" / "best.ckpt")
    assert isinstance(model.task, Multilabel)
    said = model.predict([manifest.parent / row["path"] for row in rows])
    np.testing.assert_allclose(np.stack([one.probabilities for one in said]), p, atol=2e-6)
    assert [one.label for one in said] == [row["predicted"] for row in rows]


def test_the_errors_are_those_of_the_predictions(run: Path) -> None:
    errors, (_, true, p) = content(run, "errors.json"), predictions(run)
    said = p >= 0.5
    assert errors["correct"] == int((said == true).all(axis=1).sum())
    for c, found in enumerate(errors["classes"]):
        assert found["images"] == int(true[:, c].sum())
        assert found["missed"] == int((true[:, c] & ~said[:, c]).sum())
        assert found["false"] == int((said[:, c] & ~true[:, c]).sum())
        assert found["average_precision"]["value"] == pytest.approx(
            average_precision_score(true[:, c], p[:, c]), abs=1e-4
        )
        assert 0 < found["threshold"] < 1
    assert {"f1_with_thresholds", "f1_micro_with_thresholds", "val_map_ci95"} <= set(errors["labels"])
    assert errors["calibration"]["error"] is not None
    assert errors["diagnosis"]


def test_pictures_and_doubtful_labels_are_there_a_question_a_label(run: Path) -> None:
    assert {path.stem for path in (run / "figures").glob("*.png")} == {
        "label_errors",
        "calibration",
        "gradcam",
        "roc",
        "snapshots",
    }
    mistakes = table(run / "figures" / "gradcam" / "mistakes.csv")
    assert len(mistakes) == 4
    for row in mistakes:
        assert {row["true"], row["predicted"]} in [{name, f"not {name}"} for name in LABELS]
        assert float(row["p_true"]) == pytest.approx(1 - float(row["p_predicted"]), abs=1e-5)
    issues = table(run / "label_issues.csv")
    assert all({row["given"], row["suggested"]} in [{name, f"not {name}"} for name in LABELS] for row in issues)


@pytest.mark.slow
def test_a_run_that_goes_on_ends_at_the_same_weights_and_numbers(run: Path, manifest: Path, tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 6:
                trainer.save_checkpoint(tmp_path / "six.ckpt")

    train(manifest, tmp_path / "first", Stop())
    _, sha = train(manifest, tmp_path / "second", ckpt_path=tmp_path / "six.ckpt")
    whole, again = content(run, "summary.json"), content(tmp_path / "second", "summary.json")
    assert sha == whole["weights_sha256"]
    for name in ("best_epoch", "val_map", "val_map_ci95", "val_f1", "val_loss"):
        assert again[name] == whole[name], name


@pytest.mark.parametrize(
    "loss",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("focal", "asymmetric")),
        {"name": "binary_cross_entropy", "class_weights": "balanced"},
    ],
)
def test_other_losses_train(manifest: Path, tmp_path: Path, loss: Any) -> None:
    trainer, _ = train(manifest, tmp_path, loss=loss)
    assert np.isfinite(float(trainer.callback_metrics["train_loss"]))


def test_a_loss_of_one_label_and_folds_of_training_labels_are_refused(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(lr.UserError, match=r"model\.loss: 'soft_f1' is not a loss \(binary_cross_entropy, focal, asym"):
        train(manifest, tmp_path, loss="soft_f1")
    with pytest.raises(lr.UserError, match=r"model\.task: 'multilable' is not one of .*; did you mean multilabel"):
        lr.ImageClassifier("test_resnet", 3, pretrained=False, task="multilable")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
@pytest.mark.slow
def test_two_processes_train_and_judge_as_one_of_twice_the_batch(manifest: Path, tmp_path: Path) -> None:
    def train(folder: str, batch_size: int, **options: Any) -> dict[str, Any]:
        data = lr.ImageDataModule(
            str(manifest), image_size=32, batch_size=batch_size, task="multilabel", num_workers=0, val_fraction=0.205
        )
        torch.manual_seed(1)
        settings = {"pretrained": False, "freeze_norm_stats": True, "optimizer": "sgd"}
        module = lr.ImageClassifier("test_resnet", data.num_classes, task="multilabel", **settings)  # type: ignore[arg-type]
        stages = lr.Stages([lr.Stage("all", epochs=2, lr=0.05)])
        records = lr.RunRecorder(tmp_path / folder, gradcam=lr.MisclassifiedGradCAM(images=1))
        fit(module, data, stages, records, max_epochs=-1, enable_checkpointing=True, **options)
        return {**content(tmp_path / folder, "summary.json"), "errors": content(tmp_path / folder, "errors.json")}

    one, two = train("one", 32), train("two", 16, strategy="ddp_fork", devices=2)
    assert two["val_images"] == one["val_images"] == 33  # not a multiple of two
    for name in ("val_map", "val_f1", "val_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-3), name
    assert two["errors"]["correct"] == one["errors"]["correct"]
    said = [[row["path"] for row in table(tmp_path / folder / "val_predictions.csv")] for folder in ("one", "two")]
    assert said[0] == said[1]


def test_of_no_label_the_probability_is_that_of_the_least_sure_answer() -> None:
    said = Multilabel().prediction(torch.tensor([0.1, 0.3]), ["a", "b"])
    assert said.label == ""
    assert said.probability == pytest.approx(0.7)
