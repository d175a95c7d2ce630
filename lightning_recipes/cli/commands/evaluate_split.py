"""What ``validate`` and ``test`` share: the metrics of a checkpoint on the images of a split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torchmetrics import MetricCollection
from typing_extensions import override

from lightning_recipes.atomic_io import write_json
from lightning_recipes.cli.commands.evaluation import Evaluation
from lightning_recipes.cli.config_checks import check_folder
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.engine.collect_predictions import CollectPredictions
from lightning_recipes.engine.prediction_table import PredictionTable
from lightning_recipes.engine.predictions import names_of
from lightning_recipes.errors import UserError
from lightning_recipes.evaluation.metric_intervals import Interval, loss_interval, metric_intervals
from lightning_recipes.modules.evaluator import Evaluator

__all__ = ["EvaluateSplit"]


class EvaluateSplit(Evaluation):
    """Evaluate on the images that the trainer's method of the command's name goes over."""

    needs = "--ckpt_path CHECKPOINT"
    used_most = (
        "ckpt_path", "config", "data.root", "data.eval_batch_size", "views", "out",
        "trainer.accelerator", "trainer.devices", "trainer.precision",
    )  # fmt: skip

    @override
    def resolve(self) -> None:
        """As of any evaluation; what cannot be written to is refused before anything is evaluated."""
        super().resolve()
        for key in ("out", "predictions"):
            if (path := self.config[key]) is not None:
                check_folder(key, str(Path(path).parent))

    def run(
        self,
        ckpt_path: str | None = None,
        out: str | None = None,
        predictions: str | None = None,
        verbose: bool = True,
        weights_only: bool | None = None,
    ) -> None:
        """Evaluate and print.

        Args:
            ckpt_path: Checkpoint to evaluate, or a folder of snapshots.
            out: JSON file to write: the number of images, and each metric with its value and 95 % interval.
            predictions: CSV file to write, a row an image, as ``val_predictions.csv`` of a run: what ``compare`` pairs.
            verbose: Print the metrics.
            weights_only: Not used; a run's own ``config.yaml`` has it.
        """
        collect, wanted = CollectPredictions(), out is not None or predictions is not None
        trainer = self.make_trainer([*self.callbacks(), *([collect] if wanted else [])])
        metrics = self.evaluate(trainer, getattr(trainer, self.name), verbose=verbose)
        found = collect.collected(trainer) if wanted else None
        if out is not None and trainer.is_global_zero:
            write_json(Path(out), self._with_intervals(metrics, found))
        if predictions is not None and trainer.is_global_zero:
            self._write_predictions(Path(predictions), found)

    def _write_predictions(self, path: Path, found: Mapping[str, Tensor] | None) -> None:
        if found is None or not isinstance(self.model, Evaluator):
            raise UserError("predictions: this module's steps do not say what is said of each image; leave it out")
        data, source = self.datamodule, None
        if isinstance(data, ImageDataModule):
            source = data.opened.splits.val if self.name == "validate" else data.opened.splits.test
        task = self.model.task
        rows = {"index": found["index"], **task.seen(found["probabilities"], found["labels"])}
        PredictionTable(source, names_of(self.model)).write(path, task, rows)

    def _with_intervals(
        self, metrics: Sequence[Mapping[str, float]], found: Mapping[str, Tensor] | None
    ) -> dict[str, Any]:
        """Return what ``--out`` holds; a metric of somebody's own step has a value and no interval.

        What a run reports has the interval that ``summary.json`` gives it.
        """
        values = {name: value for part in metrics for name, value in part.items()}
        intervals: dict[str, Interval] = {}
        prefix = "val_" if self.name == "validate" else "test_"
        if found is not None and isinstance(self.model, Evaluator):
            said, task = (found["probabilities"], found["labels"]), self.model.task
            every, summary = dict(self.model.configure_metrics("").items()), task.summary(task.seen(*said))
            intervals = {name: summary[f"val_{name}_ci95"] for name in every if f"val_{name}_ci95" in summary}
            others = {name: metric for name, metric in every.items() if name not in intervals}
            intervals |= metric_intervals(MetricCollection(others, compute_groups=False), *said)  # type: ignore[arg-type]
            if f"{prefix}loss" in values and not task.several_labels:
                intervals["loss"] = loss_interval(values[f"{prefix}loss"], self.model.cpu().compute_loss, *said)
        entries = {
            name: {"value": value, "ci95": intervals.get(name.removeprefix(prefix))} for name, value in values.items()
        }
        return {"images": None if found is None else len(found["labels"]), **entries}
