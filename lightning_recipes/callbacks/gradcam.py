"""GradCAM on misclassified images: where the network looked when it was wrong."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.atomic_io import write_csv
from lightning_recipes.data.batch import displayed
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.predictions import Predictions, judged, names_of, predict_validation
from lightning_recipes.errors import refuse_bad_values
from lightning_recipes.evaluation.mistakes import ORDERS
from lightning_recipes.figures.gradcam import Mistake, gradcam_figure, mistake_figure
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.heatmaps import NoMapError, check_layer, find_target, grad_cam
from lightning_recipes.modules.protocols import (
    GivesProbabilities,
    HasBackbone,
    offers,
    require_backbone,
    require_probabilities,
)
from lightning_recipes.modules.tasks.task import Wrong

__all__ = ["MisclassifiedGradCAM"]

log = logging.getLogger(__name__)

WHO = "MisclassifiedGradCAM"
AT_ONCE = 8  # images that are explained together; on a CPU more of them are slower again (benchmarks/gradcam.py)


class MisclassifiedGradCAM(pl.Callback):
    """Draw misclassified validation images with the places that speak for the predicted and for the true class.

    At the end of a fit, with the weights of the run's best checkpoint, or else with those that the fit leaves (averaged
    ones where an average is validated); after ``trainer.validate``, with the module's. Writes ``figures/gradcam.png``
    and every image on its own into ``figures/gradcam/``, with ``mistakes.csv``. Where fewer are wrong, fewer are shown;
    where none is, that is said. Works with any timm backbone; the layer is found.

    Source: Selvaraju et al. (2017), "Grad-CAM".

    When: always; it takes seconds. Not with: the belief that heat explains a decision: it says where, not what.

    Args:
        images: No more than so many, >= 0; 0 switches it off.
        by: ``confidence``: the surest mistakes first; ``random``: drawn from the run's seed; ``class``: of each true
            class in turn.
        layer: Name of a layer of the backbone to look at (default: the last one that has a map of the image).

    Raises:
        UserError: A value cannot work; at the end, the backbone has no such layer.
    """

    def __init__(
        self,
        images: int = 25,
        by: Literal["confidence", "random", "class"] = "confidence",
        layer: str | None = None,
    ) -> None:
        refuse_bad_values(
            "MisclassifiedGradCAM",
            ("images", images, images >= 0, "a number >= 0"),
            ("by", by, by in ORDERS, f"one of {', '.join(ORDERS)}"),
        )
        self.images, self.by, self.layer = images, by, layer

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a layer that there is not, before anything is trained."""
        if self.images and self.layer is not None and _explainable(pl_module):
            check_layer(require_backbone(pl_module, WHO).backbone, self.layer)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Explain the mistakes of the best epoch."""
        if self.images and _explainable(pl_module) and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            try:
                self._explain(trainer, *judged(trainer, pl_module))
            except NoMapError as error:
                log.warning("no mistakes are explained: %s", error)  # all else is done, and stays

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Explain the mistakes of a module that is validated on its own."""
        if self.images and trainer.state.fn == "validate" and _explainable(pl_module):
            module = require_probabilities(pl_module, WHO)
            self._explain(trainer, pl_module, predict_validation(trainer, module))

    def _explain(self, trainer: pl.Trainer, module: pl.LightningModule, predictions: Predictions | None) -> None:
        if predictions is None or not trainer.is_global_zero:
            return
        names, folder = names_of(require_probabilities(module, WHO)), Path(trainer.default_root_dir)
        found = predictions.probabilities, predictions.labels
        wrong, count = predictions.task.wrong(*found, names, most=self.images, by=self.by)
        _forget(folder / "figures")
        if not predictions.probabilities.isfinite().all():
            log.info("the network gives no numbers, as after a training that diverged: nothing to explain")
            return
        if not wrong:
            log.info("none of %d validation images is misclassified: nothing to explain", len(predictions.labels))
            return
        mistakes = self.mistakes(trainer, module, predictions, wrong)
        how = {"confidence": "the surest first", "random": "drawn at random", "class": "of each class in turn"}[self.by]
        what = "misclassified validation images of" if predictions.labels.ndim == 1 else "wrong answers for"
        after = "" if predictions.labels.ndim == 1 else " validation images"
        title = f"{len(wrong)} of {count} {what} {len(predictions.labels)}{after}, {how}"
        figures = folder / "figures"
        grid = gradcam_figure(mistakes, title=title)
        save_figure(grid, figures / "gradcam.png", key="gradcam", loggers=trainer.loggers)
        for number, mistake in enumerate(mistakes):
            save_figure(mistake_figure(mistake), figures / "gradcam" / f"{number:02d}.png")
        write_csv(
            figures / "gradcam" / "mistakes.csv",
            ["file", "path", "true", "predicted", "p_true", "p_predicted"],
            (
                [f"{number:02d}.png", m.path, m.true, m.predicted, f"{m.p_true:.6f}", f"{m.p_predicted:.6f}"]
                for number, m in enumerate(mistakes)
            ),
        )

    def mistakes(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        predictions: Predictions,
        wrong: Sequence[Wrong],
    ) -> list[Mistake]:
        """Return the images of answers that are wrong with their heat.

        Args:
            trainer: Whose data module has the images.
            module: What is explained.
            predictions: Its own.
            wrong: Of the task.
        """
        data, used = image_data_of(trainer), require_probabilities(module, WHO).input_judged
        images = _images(trainer, predictions.indices[[one.row for one in wrong]].tolist(), used)
        of = torch.tensor([one.said for one in wrong]), torch.tensor([one.true for one in wrong])
        heat = self._heat(module, trainer.precision_plugin.convert_input(images), of)
        shown = displayed(images, used.mean, used.std).clamp(0, 1)
        paths = None if data is None else data.opened.splits.val.paths
        return [
            Mistake(
                image=shown[i].numpy(),
                heat_predicted=heat[0][i].numpy(),
                heat_true=heat[1][i].numpy(),
                predicted=one.names[0],
                true=one.names[1],
                p_predicted=one.probabilities[0],
                p_true=one.probabilities[1],
                path=predictions.path(one.row, paths),
                numbers=(one.said, one.true),
            )
            for i, one in enumerate(wrong)
        ]

    def _heat(self, module: pl.LightningModule, images: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
        """Return the heat of all images for each of several choices of what can be said of them."""
        was_training, backbone = module.training, require_backbone(module, WHO).backbone
        module.eval()
        scores = _Scores(module)
        target = find_target(module, backbone, images[:1].to(module.device), self.layer)
        heat = []
        for classes in of:
            parts = []
            for some, labels in zip(torch.split(images, AT_ONCE), torch.split(classes, AT_ONCE), strict=True):
                inputs, labels = some.to(module.device), labels.to(module.device)
                parts.append(grad_cam(scores, backbone, inputs, labels, target=target).float().cpu())
            heat.append(torch.cat(parts))
        module.train(was_training)
        return heat


class _Scores(nn.Module):
    """A score for everything that can be said of an image, of a module that gives logits."""

    def __init__(self, module: pl.LightningModule) -> None:
        super().__init__()
        self.module, self.task = module, require_probabilities(module, WHO).task

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, S)."""
        return self.task.explained(self.module(images))


def _explainable(module: pl.LightningModule) -> bool:
    return offers(module, GivesProbabilities) and offers(module, HasBackbone)


def _images(trainer: pl.Trainer, indices: list[int], used: InputConfig) -> Tensor:
    """Images of the validation split as the module sees them, (N, 3, H, W)."""
    data = image_data_of(trainer)
    if data is not None:
        return data.evaluation_images("val", indices, used)
    dataset: Any = trainer.datamodule.val_dataloader().dataset  # type: ignore[attr-defined]
    return torch.stack([dataset[index][0] for index in indices])


def _forget(figures: Path) -> None:
    """Remove the pictures of before a run went on: it may have fewer mistakes now, or none."""
    for old in (figures / "gradcam.png", *(figures / "gradcam").glob("[0-9][0-9]*.png")):
        old.unlink(missing_ok=True)
    (figures / "gradcam" / "mistakes.csv").unlink(missing_ok=True)
