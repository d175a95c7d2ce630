"""Which metric decides, and what a run says of it."""

import json
from pathlib import Path

import pytest
from torchmetrics import MetricCollection

from lightning_recipes import BestCheckpoint, ImageClassifier, load
from lightning_recipes.__main__ import main
from lightning_recipes.errors import UserError
from tests.small import SMALL, classifier, digits, fit


def test_a_metric_of_ones_own_choice_decides_and_is_named_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ["fit", "--config", str(tmp_path / "small.yaml"), "--run_dir", str(tmp_path / "run")]
    words += ["--model.metrics", "[roc_auc, log_loss, balanced_accuracy, average_precision]"]
    words += ["--best_checkpoint.monitor", "val_log_loss", "--gradcam.images", "0"]
    assert main(words) == 0
    said = capsys.readouterr().out
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    rows = [row.split(",") for row in (tmp_path / "run/metrics.csv").read_text().splitlines()]
    column, epoch = rows[0].index("val_log_loss"), rows[0].index("epoch")
    losses = {int(row[epoch]): float(row[column]) for row in rows[1:] if row[column]}
    assert summary["monitor"] == "val_log_loss"
    assert summary["best_score"] == pytest.approx(min(losses.values()))
    assert summary["best_epoch"] == min(losses, key=lambda one: losses[one])
    assert f"Best of 3 epochs by val_log_loss: epoch {summary['best_epoch']}" in said
    assert "best epoch by val_log_loss" in (tmp_path / "run/report.html").read_text()
    for name in ("val_roc_auc", "val_balanced_accuracy", "val_average_precision"):
        assert 0 < float(rows[1][rows[0].index(name)]) <= 1


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        (None, None, ("val_accuracy", "max")),
        ("val_loss", None, ("val_loss", "min")),
        ("val_ece", None, ("val_ece", "min")),
        ("val_roc_auc", None, ("val_roc_auc", "max")),
        ("val_roc_auc", "min", ("val_roc_auc", "min")),
    ],
)
def test_better_is_where_the_metric_has_it(
    monitor: str | None, mode: str | None, expected: tuple[str, str], tmp_path: Path
) -> None:
    judge = BestCheckpoint(monitor, mode, str(tmp_path))  # type: ignore[arg-type]
    fit(classifier(metrics=["roc_auc"]), digits(), judge, max_epochs=1, enable_checkpointing=True)
    assert (judge.monitor, judge.mode) == expected
    assert load(judge.best_model_path).num_classes == 10


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("val_roc_auc", "best_checkpoint.monitor: 'val_roc_auc' is not measured; give model.metrics: [roc_auc]"),
        ("val_acuracy", "best_checkpoint.monitor: 'val_acuracy' is not logged by the validation; there are val_acc"),
    ],
)
def test_a_metric_that_there_is_not_is_refused_before_the_first_step(monitor: str, said: str, tmp_path: Path) -> None:
    model = classifier()
    with pytest.raises(UserError) as refused:
        fit(model, digits(), BestCheckpoint(monitor, dirpath=str(tmp_path)), max_epochs=1, enable_checkpointing=True)
    assert str(refused.value).startswith(said)
    assert model.trainer.global_step == 0


def test_what_may_be_wrong_with_a_metric_that_is_not_logged_is_said(tmp_path: Path) -> None:
    class Own(ImageClassifier):
        def configure_metrics(self, prefix: str) -> MetricCollection:
            return self.task.metrics(self.num_classes, prefix)

    model = Own("test_resnet", 10, pretrained=False, metrics="roc_auc")
    for monitor, said in (
        ("val_roc_auc", "is in model.metrics, and the module's configure_metrics leaves it out"),
        ("val_accuracy_raw", "those that end with _raw are EMA's, with validate: both"),
        ("val_balanced_acuracy", "did you mean val_balanced_accuracy?"),
        ("of_a_callback", "a batch was validated before training to see it"),
    ):
        with pytest.raises(UserError, match=said):
            fit(
                model, digits(), BestCheckpoint(monitor, dirpath=str(tmp_path)), max_epochs=1, enable_checkpointing=True
            )


def test_a_metric_that_is_none_is_refused_where_the_model_is_made() -> None:
    with pytest.raises(UserError, match=r"model.metrics: 'auc' is not one of balanced_accuracy, roc_auc"):
        classifier(metrics=["auc"])
