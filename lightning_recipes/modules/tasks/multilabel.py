"""Any number of labels an image: a sigmoid and a question for each class, mean average precision."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelF1Score
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from lightning_recipes.evaluation.bootstrap import resamples_of, share_interval
from lightning_recipes.evaluation.calibration import calibration_figures
from lightning_recipes.evaluation.columns import class_columns
from lightning_recipes.evaluation.confusion import confusion_matrix, per_class
from lightning_recipes.evaluation.further_metrics import FURTHER_METRICS
from lightning_recipes.evaluation.label_issues import label_issues
from lightning_recipes.evaluation.mistakes import order_mistakes
from lightning_recipes.evaluation.multilabel import (
    average_precision,
    best_thresholds,
    f1_scores,
    held_out_answers,
    mean_known,
)
from lightning_recipes.evaluation.percent import percent, percent_range
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.evaluation.ranking import ranking
from lightning_recipes.figures.calibration import before_and_after
from lightning_recipes.figures.label_errors import label_errors_figure
from lightning_recipes.figures.roc import roc_figures
from lightning_recipes.modules.tasks.task import Doubt, Wrong
from lightning_recipes.optim.multilabel_losses import MULTILABEL_LOSSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Multilabel"]

SMALLEST = 1e-12  # a probability of zero has no logarithm
YES = 0.5  # probability from which on a label is said to be there
ABOVE = float(torch.nextafter(torch.tensor(YES), torch.tensor(0.0)))
"""The threshold of torchmetrics, which says yes above it: a probability of one half is a yes here."""
BETWEEN = "|"  # as in the data's CSV file


class Multilabel:
    """Any number of labels an image: labels (N, C) of 0 and 1; methods as of a :class:`~.task.Task`."""

    name = "multilabel"
    several_labels = True
    fewest_classes = 1
    best_metric: tuple[str, Literal["max", "min"]] = ("val_map", "max")
    training_metric_name = "f1"
    losses: Mapping[str, type[nn.Module]] = MULTILABEL_LOSSES
    further_metrics: Mapping[str, Callable[[int], Metric]] = {n: FURTHER_METRICS[n] for n in ("roc_auc", "log_loss")}
    default_loss = "binary_cross_entropy"
    intervals_are_quick = False
    right_means = "share of images with every label right"
    share_right_means = "share of labels that are right"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the sigmoid."""
        return logits.float().sigmoid()

    def mean_logits(self, members: Sequence[Tensor]) -> Tensor:
        """Return the logit of the mean probabilities."""
        mean: Tensor = torch.stack([self.probabilities(m).double() for m in members]).mean(dim=0)
        logits: Tensor = mean.logit(SMALLEST).float()
        return logits

    def loss_weight(self, labels: Tensor, class_weights: Tensor | None) -> Tensor | float:
        """Return the images: class weights weigh within an image."""
        return len(labels)

    def metrics(self, num_classes: int, prefix: str) -> MetricCollection:
        """Return mean average precision, macro and micro F1."""
        several = num_classes > 1  # torchmetrics refuses a single one, and can do it
        kinds: dict[str, Metric] = {
            "map": _AveragePrecision(num_classes, average="macro", validate_args=several),
            "f1": _F1Score(num_classes, ABOVE, average="macro", validate_args=several),
            "f1_micro": _F1Score(num_classes, ABOVE, average="micro", validate_args=several),
        }
        return MetricCollection(kinds, prefix=prefix, compute_groups=False)  # type: ignore[arg-type]

    def training_metric(self, num_classes: int) -> Metric:
        """Return the macro F1, as validation has it."""
        return _F1Score(num_classes, ABOVE, average="macro", validate_args=False)

    def predicted(self, probabilities: Tensor) -> Tensor:
        """Return the labels whose probability is one half or more, (N, C)."""
        return (probabilities >= YES).to(torch.float32)

    def right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return whether every label is right."""
        return (self.predicted(probabilities) == labels).all(dim=1)

    def share_right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the share of an image's labels that are right."""
        return (self.predicted(probabilities) == labels).double().mean(dim=1)

    def against_chance(self, analysis: Mapping[str, Any], labels: Tensor) -> tuple[bool, str] | None:
        """Tell whether labels are ranked better than by lot: by the mean average precision, whose chance is prevalence.

        Not by images that are right in all: with many labels few are, and that says little.
        """
        value, interval = analysis["labels"]["val_map"], analysis["labels"]["val_map_ci95"]
        known = labels.sum(dim=0) > 0
        if value is None or interval is None or not known.any():
            return None
        by_lot = float(labels.double().mean(dim=0)[known].mean())
        low, high = interval
        found = f"{percent(value)} (95 % interval {percent_range(low, high)})"
        said = f"mean average precision {found}, by lot {percent(by_lot)}"
        return low > by_lot, said

    def losses_of(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over classes of ``-log`` of the right answer's probability."""
        p, y = probabilities.double(), labels.double()
        return -torch.where(y > 0, p, 1 - p).clamp_min(SMALLEST).log().mean(dim=1)

    def strata(self, labels: Tensor) -> Tensor:
        """Return a number for each set of labels."""
        number: Tensor = torch.unique(labels, dim=0, return_inverse=True)[1]
        return number

    def words(self, labels: Tensor, names: Sequence[str]) -> str:
        """Return the names, set apart as in the data's CSV file."""
        return BETWEEN.join(name for name, there in zip(names, labels.tolist(), strict=True) if there)

    def prediction(self, probabilities: Tensor, names: Sequence[str]) -> Prediction:
        """Return all labels that are said to be there."""
        there = self.predicted(probabilities)
        sure = probabilities[there > 0].min() if there.any() else 1 - probabilities.max()
        return Prediction(self.words(there, names), float(sure), probabilities.numpy())

    def seen(self, probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Keep all of both."""
        return {"true": labels.to(torch.uint8), "p": probabilities}

    def summary(self, seen: Mapping[str, Tensor] | None, *, intervals: bool = True) -> dict[str, Any]:
        """Return ``val_map`` and ``val_f1`` (macro) with bootstrap intervals over the images."""
        if seen is None:
            return dict.fromkeys(("val_map", "val_map_ci95", "val_f1", "val_f1_ci95"))
        labels, p = seen["true"], seen["p"]
        if not p.isfinite().all():  # of a training that diverged
            return self.summary(None)
        answers = self.predicted(p) > 0
        numbers: dict[str, Callable[[Tensor | None], Tensor]] = {
            "val_map": lambda weights: mean_known(average_precision(labels, p, weights)),
            "val_f1": lambda weights: f1_scores(labels, answers, weights)[0],
        }
        found: dict[str, Any] = {}
        for name, of_weights in numbers.items():
            value = float(of_weights(None))
            interval = share_interval(value, resamples_of(of_weights, len(labels))) if intervals else None
            found[name] = value if math.isfinite(value) else None
            found[f"{name}_ci95"] = None if interval is None else list(interval)
        return found

    def judge(self, probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
        """Return mean average precision and loss."""
        found, loss = self.summary(self.seen(probabilities, labels)), self.losses_of(probabilities, labels).mean()
        return {"images": len(labels), "loss": float(loss), "map": found["val_map"], "ci95": found["val_map_ci95"]}

    def prediction_rows(self, seen: Mapping[str, Tensor], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Return true and predicted labels, the log loss, the mean over classes, and the probability of each class."""
        rows = []
        for true, p, loss in zip(seen["true"], seen["p"], self.losses_of(seen["p"], seen["true"]), strict=True):
            labels = (self.words(true, names), self.words(self.predicted(p), names))
            rows.append([*labels, *(f"{value:.6f}" for value in (float(loss), *p.tolist()))])
        return class_columns(["path", "sha256", "true", "predicted", "log_loss"], names)[2:], rows

    def analysis(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
        """Return each class's numbers, those of all, and the calibration of all answers."""
        p, y, classes = probabilities, labels, []
        precision, thresholds = average_precision(y, p), best_thresholds(y, p)
        resampled = resamples_of(lambda weights: average_precision(y, p, weights), len(y))
        chosen, plain, ranked = held_out_answers(y, p), self.predicted(p) > 0, ranking(y, p)
        for c, name in enumerate(names):
            matrix = confusion_matrix(y[:, c].long(), plain[:, c].long(), 2).tolist()
            held_out = _share_of_yes(confusion_matrix(y[:, c].long(), chosen[:, c].long(), 2), name)
            classes.append(
                {
                    **_share_of_yes(torch.tensor(matrix), name),
                    "roc_auc": asdict(ranked.roc_auc[c]),
                    "average_precision": _with_interval(float(precision[c]), resampled[:, c]),
                    "threshold": float(thresholds[c]),
                    "f1_with_threshold": held_out["f1"],
                    "sensitivity_with_threshold": held_out["recall"],
                    "specificity_with_threshold": held_out["specificity"],
                    "missed": matrix[1][0],
                    "false": matrix[0][1],
                }
            )
        return {
            "most_confused": [],
            "classes": classes,
            "labels": {
                **self.summary({"true": y, "p": p}),
                "f1_micro": float(f1_scores(y, plain)[1]),
                "f1_with_thresholds": float(f1_scores(y, chosen)[0]),
                "f1_micro_with_thresholds": float(f1_scores(y, chosen)[1]),
            },
            "macro": ranked.macro,
            "calibration": calibration_figures(*_questions(y, p), an_image=y.shape[1]),
        }

    def figures(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], analysis: Mapping[str, Any]
    ) -> "dict[str, Figure]":
        """Return each class's mistakes, the reliability curve of all answers, ROC and precision-recall."""
        answers = _questions(labels, probabilities)
        return {
            "label_errors": label_errors_figure(analysis["classes"]),
            **before_and_after(*answers, analysis["calibration"], what="answers"),
            **roc_figures(labels, probabilities, names, analysis["classes"]),
        }

    def doubts(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> list[Doubt]:
        """Return what confident learning finds, a question a class."""
        found = []
        for c, name in enumerate(names):
            words = (f"not {name}", name)
            for issue in label_issues(*_questions(labels[:, c], probabilities[:, c])):
                given, suggested = words[issue.given], words[issue.suggested]
                found.append(Doubt(issue.row, given, suggested, issue.margin, issue.confident))
        return sorted(found, key=lambda doubt: (not doubt.confident, doubt.margin))

    def wrong(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], *, most: int, by: str
    ) -> tuple[list[Wrong], int]:
        """Return answers that are wrong; an image may have several."""
        said, classes = self.predicted(probabilities) > 0, len(names)
        pairs = ((said != (labels > 0)).nonzero()).tolist()
        sure = [max(float(p), 1 - float(p)) for p in (probabilities[row, c] for row, c in pairs)]
        found = []
        for position in order_mistakes(sure, [c for _, c in pairs], most=most, by=by):
            row, c = pairs[position]
            p, yes = float(probabilities[row, c]), bool(said[row, c])
            # The score that there is such a label, and after all classes the one that there is none.
            where, words, shares = (c, classes + c), (names[c], f"not {names[c]}"), (p, 1 - p)
            first, second = (0, 1) if yes else (1, 0)
            both = (words[first], words[second]), (shares[first], shares[second])
            found.append(Wrong(row, where[first], where[second], *both))
        return found, len(pairs)

    def explained(self, logits: Tensor) -> Tensor:
        """Return the logits, which speak for each label, and their negatives, which speak against it."""
        return torch.cat([logits, -logits], dim=1)


def _share_of_yes(matrix: Tensor, name: str) -> dict[str, Any]:
    """Precision, recall, specificity and F1 of the answer yes, of counts (2, 2)."""
    return asdict(per_class(matrix, (f"not {name}", name))[1])


def _with_interval(value: float, resampled: Tensor) -> dict[str, float | None]:
    """A class's average precision; None where no image has the class, or too few to tell."""
    low, high = share_interval(value, resampled) or (None, None)
    return {"value": value if math.isfinite(value) else None, "low": low, "high": high}


def _questions(labels: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Every question, of all classes or of one, as an image of two: labels (M,) and probabilities (M, 2)."""
    p = probabilities.flatten()
    return labels.flatten().long(), torch.stack([1 - p, p], dim=1)


class _AveragePrecision(MultilabelAveragePrecision):
    """Of labels that are floats, as losses take them; nan where a probability is nan, which torchmetrics would rank."""

    @override
    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds, target.long())

    @override
    def compute(self) -> Tensor:  # type: ignore[override]
        said = dim_zero_cat(self.preds)
        return super().compute() if said.isfinite().all() else said.new_tensor(math.nan)


class _F1Score(MultilabelF1Score):
    """Of labels that are floats, as losses take them."""

    @override
    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds, target.long())
