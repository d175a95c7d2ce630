"""What a module says of every validation image, over all processes, computed once."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lightning_recipes.classifier import ImageClassifier
from lightning_recipes.counting import limited
from lightning_recipes.evaluation.gather import gather_by_index

__all__ = [
    "Predictions",
    "best_checkpoint_of",
    "best_of_run",
    "judged",
    "names_of",
    "over_validation",
    "predict_validation",
]


@dataclass(frozen=True)
class Predictions:
    """Probabilities of the validation images, in their order.

    Attributes:
        indices: (N,), positions in the split.
        labels: (N,), what is true.
        probabilities: (N, C), float32; (N, M, C) of M members.
    """

    indices: Tensor
    labels: Tensor
    probabilities: Tensor

    def path(self, row: int, paths: Sequence[str] | None) -> str:
        """Return what a row's image is called, of the paths of its split; without them its position."""
        index = int(self.indices[row])
        return str(index if paths is None else paths[index])

    @property
    def predicted(self) -> Tensor:
        """The class of the largest probability, (N,)."""
        return self.probabilities.argmax(dim=1)


def names_of(module: ImageClassifier) -> list[str]:
    """Return the names of a module's classes, or their numbers where it knows none."""
    return list(module.class_names or [str(label) for label in range(module.num_classes)])


def best_checkpoint_of(trainer: pl.Trainer) -> Path | None:
    """Return the checkpoint that the run's figures are of: the best by the first callback that judges by a figure."""
    judges = (c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor)
    return next((Path(judge.best_model_path) for judge in judges if judge.best_model_path), None)


def best_of_run(trainer: pl.Trainer, module: ImageClassifier) -> ImageClassifier:
    """Return the module with the weights of the run's best checkpoint, which its figures are of; else as it is."""
    path = best_checkpoint_of(trainer)
    if path is None:
        return module
    best = copy.deepcopy(module)
    best.load_state_dict(torch.load(path, map_location=module.device, weights_only=True)["state_dict"])
    return best.eval()


def over_validation(trainer: pl.Trainer, probabilities_of: Callable[[Any], Tensor]) -> Predictions | None:
    """Return what a function says of every validation image that the trainer validates on; None where there are none.

    Args:
        trainer: Whose data module, ``limit_val_batches``, precision, device and processes are used; every process has
            to call.
        probabilities_of: From a batch on the device to a row an image.
    """
    parts, seen = [], 0
    loader, limit = trainer.datamodule.val_dataloader(), trainer.limit_val_batches  # type: ignore[attr-defined]
    whole = isinstance(limit, float) and limit == 1  # also of a loader that does not know its length
    for batch in loader if whole else islice(loader, limited(len(loader), limit)):
        batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        with trainer.precision_plugin.forward_context():
            probabilities = probabilities_of(batch)
        index = batch[2] if len(batch) > 2 else torch.arange(seen, seen + len(batch[1]))
        seen += len(batch[1])
        parts.append({"index": index.cpu(), "labels": batch[1].cpu(), "probabilities": probabilities.cpu()})
    found = gather_by_index(parts, trainer.world_size)
    return None if found is None else Predictions(found["index"], found["labels"], found["probabilities"])


@torch.inference_mode()
def predict_validation(trainer: pl.Trainer, module: ImageClassifier) -> Predictions | None:
    """Return the predictions for the validation images of the trainer's data module; None where there are none.

    Args:
        trainer: Whose precision, device and processes are used; every process has to call.
        module: In any mode; used in eval mode and left as it was.
    """
    was_training = module.training
    module.eval()
    found = over_validation(trainer, lambda batch: module.logits_of(batch).float().softmax(dim=1))
    module.train(was_training)
    return found


_JUDGED: WeakKeyDictionary[pl.Trainer, tuple[int, ImageClassifier, Predictions | None]] = WeakKeyDictionary()


def judged(trainer: pl.Trainer, module: ImageClassifier) -> tuple[ImageClassifier, Predictions | None]:
    """Return what a fit is judged by: the module of its best checkpoint, and its predictions; computed once a fit.

    To be called when the fit is over, by every process.
    """
    known = _JUDGED.get(trainer)
    if known is None or known[0] != trainer.global_step:
        best = best_of_run(trainer, module)
        known = (trainer.global_step, best, predict_validation(trainer, best))
        _JUDGED[trainer] = known
    return known[1], known[2]
