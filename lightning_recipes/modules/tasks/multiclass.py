"""One class an image: softmax, accuracy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lightning_recipes.evaluation.calibration import calibration_figures
from lightning_recipes.evaluation.confusion import confusion_matrix, most_confused, per_class
from lightning_recipes.evaluation.further_metrics import FURTHER_METRICS
from lightning_recipes.evaluation.intervals import wilson_interval
from lightning_recipes.evaluation.label_issues import label_issues
from lightning_recipes.evaluation.mean_probabilities import judge, log_mean_probabilities
from lightning_recipes.evaluation.metrics import classification_metrics
from lightning_recipes.evaluation.mistakes import choose_mistakes
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.evaluation.ranking import ranking
from lightning_recipes.evaluation.thresholds import chosen_threshold, coverage_curve
from lightning_recipes.figures.calibration import before_and_after
from lightning_recipes.figures.confusion import confusion_figure
from lightning_recipes.figures.coverage import coverage_figure
from lightning_recipes.figures.roc import roc_figures
from lightning_recipes.modules.tasks.task import Doubt, Wrong
from lightning_recipes.optim.losses import LOSSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Multiclass"]

SMALLEST = 1e-12  # a probability of zero has no logarithm


class Multiclass:
    """One class an image: labels (N,) int64, probabilities that add up to one; methods as of a :class:`~.task.Task`."""

    name = "multiclass"
    several_labels = False
    fewest_classes = 2
    best_metric: tuple[str, Literal["max", "min"]] = ("val_accuracy", "max")
    training_metric_name = "accuracy"
    losses: Mapping[str, type[nn.Module]] = LOSSES
    further_metrics: Mapping[str, Callable[[int], Metric]] = FURTHER_METRICS
    default_loss = "cross_entropy"
    intervals_are_quick = True
    right_means = share_right_means = "accuracy"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the softmax."""
        return logits.float().softmax(dim=1)

    def mean_logits(self, members: Sequence[Tensor]) -> Tensor:
        """Return the logarithm of the mean probabilities."""
        return log_mean_probabilities(members)

    def loss_weight(self, labels: Tensor, class_weights: Tensor | None) -> Tensor | float:
        """Return the sum of the images' class weights."""
        return len(labels) if class_weights is None else class_weights[labels].sum()

    def metrics(self, num_classes: int, prefix: str) -> MetricCollection:
        """Return accuracy, top-5 accuracy (from six classes on), macro F1 and expected calibration error."""
        return classification_metrics(num_classes, prefix)

    def training_metric(self, num_classes: int) -> Metric:
        """Return the accuracy."""
        return MulticlassAccuracy(num_classes, average="micro", validate_args=False)

    def predicted(self, probabilities: Tensor) -> Tensor:
        """Return the class of the largest probability, (N,)."""
        return probabilities.argmax(dim=1)

    def right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return whether the largest probability is the label's."""
        return self.predicted(probabilities) == labels

    def share_right(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return 1 where the image is right, else 0."""
        return self.right(probabilities, labels).double()

    def against_chance(self, analysis: Mapping[str, Any], labels: Tensor) -> tuple[bool, str] | None:
        """Return nothing: the accuracy says it."""
        return None

    def losses_of(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return ``-log p`` of the label."""
        return -probabilities.double().gather(1, labels[:, None]).squeeze(1).clamp_min(SMALLEST).log()

    def strata(self, labels: Tensor) -> Tensor:
        """Return the labels."""
        return labels

    def words(self, labels: Tensor, names: Sequence[str]) -> str:
        """Return the class's name."""
        return names[int(labels)]

    def prediction(self, probabilities: Tensor, names: Sequence[str]) -> Prediction:
        """Return the most probable class."""
        row = probabilities.numpy()
        return Prediction(names[int(row.argmax())], float(row.max()), row)

    def seen(self, probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Keep the predicted class, its probability and the log loss: of a thousand classes the others are much."""
        probability, predicted = probabilities.max(dim=1)
        loss = self.losses_of(probabilities, labels)
        return {"true": labels, "predicted": predicted, "p": probability, "log_loss": loss}

    def summary(self, seen: Mapping[str, Tensor] | None, *, intervals: bool = True) -> dict[str, Any]:
        """Return ``val_accuracy`` with Wilson's interval."""
        if seen is None:
            return {"val_accuracy": None, "val_accuracy_ci95": None}
        correct, images = int((seen["true"] == seen["predicted"]).sum()), len(seen["true"])
        return {"val_accuracy": correct / images, "val_accuracy_ci95": list(wilson_interval(correct, images))}

    def judge(self, probabilities: Tensor, labels: Tensor) -> dict[str, Any]:
        """Return accuracy and loss."""
        found = judge(probabilities, labels)
        return {**asdict(found), "accuracy": found.accuracy, "ci95": list(found.ci95)}

    def prediction_rows(self, seen: Mapping[str, Tensor], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Return true and predicted class, the probability of the predicted one, and the log loss of the true one."""
        parts = zip(*(seen[key].tolist() for key in ("true", "predicted", "p", "log_loss")), strict=True)
        rows = [[names[true], names[predicted], f"{p:.6f}", f"{loss:.6f}"] for true, predicted, p, loss in parts]
        return ["true", "predicted", "probability", "log_loss"], rows

    def analysis(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, Any]:
        """Return the confusion matrix and what is read off it, areas, thresholds, and the calibration."""
        matrix = confusion_matrix(labels, self.predicted(probabilities), len(names))
        ranked = ranking(labels, probabilities)
        sure, right = probabilities.max(dim=1).values, self.right(probabilities, labels)
        chosen = [chosen_threshold(labels == c, probabilities[:, c]) for c in range(len(names))]
        return {
            "most_confused": [asdict(pair) for pair in most_confused(matrix, names)],
            "classes": [
                {
                    **asdict(found),
                    "roc_auc": asdict(ranked.roc_auc[c]),
                    "average_precision": asdict(ranked.average_precision[c]),
                    "threshold": chosen[c].threshold,
                    "sensitivity_with_threshold": asdict(chosen[c].sensitivity),
                    "specificity_with_threshold": asdict(chosen[c].specificity),
                }
                for c, found in enumerate(per_class(matrix, names))
            ],
            "macro": ranked.macro,
            "coverage": coverage_curve(sure, right),
            "calibration": calibration_figures(labels, probabilities),
            "confusion_matrix": matrix.tolist(),
        }

    def figures(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], analysis: Mapping[str, Any]
    ) -> "dict[str, Figure]":
        """Return the confusion matrix, the reliability curve, ROC and precision-recall, and accuracy over coverage."""
        matrix = confusion_matrix(labels, self.predicted(probabilities), len(names))
        return {
            "confusion": confusion_figure(matrix.numpy(), names),
            **before_and_after(labels, probabilities, analysis["calibration"]),
            **roc_figures(labels, probabilities, names, analysis["classes"]),
            "coverage": coverage_figure(analysis["coverage"]),
        }

    def doubts(self, probabilities: Tensor, labels: Tensor, names: Sequence[str]) -> list[Doubt]:
        """Return what confident learning finds."""
        return [
            Doubt(issue.row, names[issue.given], names[issue.suggested], issue.margin, issue.confident)
            for issue in label_issues(labels, probabilities)
        ]

    def wrong(
        self, probabilities: Tensor, labels: Tensor, names: Sequence[str], *, most: int, by: str
    ) -> tuple[list[Wrong], int]:
        """Return misclassified images."""
        order = cast(Literal["confidence", "random", "class"], by)
        predicted = self.predicted(probabilities)
        found = []
        for row in choose_mistakes(labels, probabilities, most=most, by=order):
            said, true = int(predicted[row]), int(labels[row])
            p = float(probabilities[row, said]), float(probabilities[row, true])
            found.append(Wrong(row, said, true, (names[said], names[true]), p))
        return found, int((predicted != labels).sum())

    def explained(self, logits: Tensor) -> Tensor:
        """Return the logits."""
        return logits
