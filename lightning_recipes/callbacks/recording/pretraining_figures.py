"""What a pretraining has learned to see, as pictures: a map, nearest neighbours, views or reconstructions."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize
from typing_extensions import override

from lightning_recipes.data.batch import displayed
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.eval_sampler import stratified_order
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.best import best_of
from lightning_recipes.engine.predictions import model_of
from lightning_recipes.figures.contact_sheet import class_sheet
from lightning_recipes.figures.embeddings import embedding_map
from lightning_recipes.figures.saving import save_figure
from lightning_recipes.modules.pretraining.method import Reconstructs
from lightning_recipes.modules.pretraining.module import PretrainingModule

__all__ = ["PretrainingFigures"]

MAPPED = 300
ASKED, NEAREST = 8, 7
COMPARED = 8
AT_ONCE = 64


class PretrainingFigures(pl.Callback):
    """Draw what a pretraining has learned, of validation images, at its end; nothing of another training.

    ``figures/embedding_map.png``: each image on the two principal components of the best checkpoint's features.
    ``figures/neighbours.png``: images, and those whose features are nearest. ``figures/views.png``: the views that are
    compared; or ``figures/reconstructions.png``: images, what was shown of them, and what was told, by the last epoch.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        data = image_data_of(trainer)
        if not isinstance(pl_module, PretrainingModule) or data is None:
            return
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        source, best = data.opened.splits.val, best_of(trainer)
        model: Any = pl_module if best is None else model_of(best, pl_module)
        model = model.to(trainer.strategy.root_device)
        indices = stratified_order(source.labels, 0)[:MAPPED].tolist()
        images = data.evaluation_images("val", indices, model.input_judged)
        pictures, features = _pictures(images, model), _features(model, images, trainer)
        if len(indices) < 2 or not np.isfinite(features).all():  # of a training that diverged
            return
        title = f"{len(indices)} validation images where their features put them"
        self._save(trainer, "embedding_map", embedding_map(features, pictures, title=title))
        rows = _neighbours(features, pictures)
        title = "First in each row a validation image, then those nearest to it"
        self._save(trainer, "neighbours", class_sheet(rows, title=title))
        self._compare(trainer, pl_module, data, indices[:COMPARED], images[:COMPARED])

    def _compare(
        self, trainer: pl.Trainer, module: PretrainingModule, data: ImageDataModule, indices: list[int], images: Tensor
    ) -> None:
        if isinstance(module.method, Reconstructs):
            rows = _reconstructed(trainer, module, images)
            title = "As they are; as they were shown; as they were reconstructed"
            self._save(trainer, "reconstructions", class_sheet(rows, title=title))
        elif module.views_per_image > 1:
            drawn = [data.augmented_images("val", indices, view) for view in range(module.views_per_image)]
            rows = [(f"view {number}", list(_pictures(view, module))) for number, view in enumerate(drawn, start=1)]
            self._save(trainer, "views", class_sheet(rows, title="Views of an image that are to be known as one"))

    def _save(self, trainer: pl.Trainer, name: str, figure: Any) -> None:
        save_figure(figure, self.folder / "figures" / f"{name}.png", key=name, loggers=trainer.loggers)


def _pictures(images: Tensor, module: PretrainingModule) -> NDArray[np.uint8]:
    used = module.input_judged
    shown = displayed(images.float().cpu(), used.mean, used.std).clamp(0, 1)
    return (255 * shown).round().to(torch.uint8).numpy()


def _features(model: PretrainingModule, images: Tensor, trainer: pl.Trainer) -> NDArray[np.float32]:
    parts = [model.extract_features(part, trainer.precision_plugin) for part in torch.split(images, AT_ONCE)]
    return torch.cat(parts).numpy()


def _neighbours(
    features: NDArray[np.float32], pictures: NDArray[np.uint8]
) -> list[tuple[str, list[NDArray[np.uint8]]]]:
    directions = normalize(torch.from_numpy(features - features.mean(axis=0)), dim=1)
    alike = (directions @ directions.T).fill_diagonal_(2.0)  # each is the first of its own row
    near = alike[:ASKED].topk(min(1 + NEAREST, len(features)), dim=1).indices
    return [("", [pictures[place] for place in row]) for row in near.tolist()]


@torch.no_grad()
def _reconstructed(
    trainer: pl.Trainer, module: PretrainingModule, images: Tensor
) -> list[tuple[str, list[NDArray[np.uint8]]]]:
    method, was_training, was_on = module.method, module.training, module.device
    assert isinstance(method, Reconstructs)
    module.to(trainer.strategy.root_device).eval()
    try:
        shown, _ = method.spoiled(images.to(module.device), ("figure",))
        with trainer.precision_plugin.forward_context():
            reconstructed = method.reconstruct(module, trainer.precision_plugin.convert_input(shown))
    finally:
        module.to(was_on).train(was_training)
    parts = {"image": images, "shown": shown, "reconstructed": reconstructed}
    return [(name, list(_pictures(part, module))) for name, part in parts.items()]
