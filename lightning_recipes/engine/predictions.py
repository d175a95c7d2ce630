"""What a module says of images, over all processes; and of the validation images at a fit's end, computed once."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.compat.lightning import validating
from lightning_recipes.data.datamodule import Split
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.engine.best import Best, best_of
from lightning_recipes.engine.forward import on_device
from lightning_recipes.evaluation.gather import gather_by_index
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.modules.protocols import GivesProbabilities, require_probabilities
from lightning_recipes.modules.tasks import Task
from lightning_recipes.modules.tasks.multiclass import Multiclass
from lightning_recipes.stages.step_count import limited

__all__ = [
    "Predictions",
    "judged",
    "model_of",
    "names_of",
    "over_validation",
    "predict_split",
    "predict_validation",
]

APART = 0.01  # share of the images by which the file may differ from the epoch's own validation, for rounding


@dataclass(frozen=True)
class Predictions:
    """Probabilities of a split's images, in their order.

    Attributes:
        indices: (N,), positions in the split.
        labels: What is true, (N,); or (N, C) of several.
        probabilities: (N, C), float32; (N, M, C) of M members.
        loss: The module's own loss over all of them, where it was asked for.
        task: What labels are.
    """

    indices: Tensor
    labels: Tensor
    probabilities: Tensor
    loss: float | None = None
    task: Task = field(default_factory=Multiclass)

    def path(self, row: int, paths: Sequence[str] | NDArray[np.str_] | None) -> str:
        """Return what a row's image is called, of the paths of its split; without them its position."""
        index = int(self.indices[row])
        return str(index if paths is None else paths[index])

    @property
    def predicted(self) -> Tensor:
        """What is said, in the shape of labels."""
        return self.task.predicted(self.probabilities)

    @property
    def correct(self) -> int:
        """How many are right."""
        return int(self.task.right(self.probabilities, self.labels).sum())


def names_of(module: GivesProbabilities) -> list[str]:
    """Return the names of a module's classes, or their numbers where it knows none."""
    return list(module.class_names or [str(label) for label in range(module.num_classes)])


def over_validation(
    trainer: pl.Trainer, module: GivesProbabilities, probabilities_of: Callable[[Any], Tensor]
) -> Predictions | None:
    """Return what a function says of every validation image that the trainer validates on; None where there are none.

    The images are as the module was judged, and images also where the current stage has features in their place.

    Args:
        trainer: Whose data module, ``limit_val_batches``, precision, device and processes are used; every process has
            to call.
        module: Says how pictures become inputs; in eval mode meanwhile.
        probabilities_of: From a batch on the device to a row an image.
    """
    data, limit = image_data_of(trainer), trainer.limit_val_batches
    if limit == 0:
        return None
    if data is not None:
        loader = data.evaluation_loader("val", module.input_judged)
    else:
        loader = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
    whole = isinstance(limit, float) and limit == 1  # also of a loader that does not know its length
    batches = loader if whole else islice(loader, limited(len(loader), limit))
    return _over(trainer, module, batches, probabilities_of)


def _over(
    trainer: pl.Trainer, module: GivesProbabilities, batches: Any, probabilities_of: Callable[[Any], Tensor]
) -> Predictions | None:
    parts, seen = [], 0
    with _judging(trainer, module):
        for batch in batches:
            batch = on_device(trainer, batch)
            with trainer.precision_plugin.forward_context():
                probabilities = probabilities_of(batch)
            index = batch[2] if len(batch) > 2 else torch.arange(seen, seen + len(batch[1]))
            seen += len(batch[1])
            parts.append({"index": index.cpu(), "labels": batch[1].cpu(), "probabilities": probabilities.cpu()})
    found = gather_by_index(parts, trainer.world_size)
    if found is None:
        return None
    return Predictions(found["index"], found["labels"], found["probabilities"], task=module.task)


@contextmanager
def _judging(trainer: pl.Trainer, module: GivesProbabilities) -> Iterator[None]:
    """Have a module in eval mode where batches are, and the trainer's own, whose transfer hooks may augment otherwise.

    When a fit is over, Lightning has moved its module to the CPU.
    """
    modes, device = [(m, m.training) for m in (trainer.lightning_module, module)], module.device
    with validating(trainer):
        try:
            for each, _ in modes:
                each.eval()
            _move(module, trainer.strategy.root_device)
            yield
        finally:
            _move(module, device)
            for each, was_training in modes:
                each.train(was_training)


@torch.inference_mode(False)
def _move(module: Any, device: torch.device) -> None:
    """Move a module that may be trained again: what is made in inference mode has no gradients."""
    module.to(device)


@torch.inference_mode()
def predict_validation(trainer: pl.Trainer, module: GivesProbabilities) -> Predictions | None:
    """Return the predictions for the validation images of the trainer's data module, with the loss over all of them.

    As ``trainer.validate`` would judge the module; None where there are no images.

    Args:
        trainer: Whose precision, device and processes are used; every process has to call.
        module: In any mode; used in eval mode and left as it was.
    """
    mean = loss_mean().to(trainer.strategy.root_device)

    def probabilities_of(batch: Any) -> Tensor:
        logits, labels = module.logits_of(batch), batch[1]
        mean.update(module.compute_loss(logits, labels), weight=module.loss_weight(labels))
        return module.task.probabilities(logits)

    found = over_validation(trainer, module, probabilities_of)
    if found is None:
        return None
    return replace(found, loss=float(mean.compute()))


@torch.inference_mode()
def predict_split(
    trainer: pl.Trainer, module: GivesProbabilities, split: Split, indices: Sequence[int]
) -> Predictions | None:
    """Return the predictions for some images of a split, unaugmented; None of a data module that is not ours.

    Args:
        trainer: As above.
        module: As above.
        split: ``train``, ``val`` or ``test``.
        indices: Positions in the split; the predictions' are the same.
    """
    data = image_data_of(trainer)
    if data is None:
        return None
    loader = data.evaluation_loader(split, module.input_judged, indices)
    found = _over(trainer, module, loader, lambda batch: module.task.probabilities(module.logits_of(batch)))
    if found is None:
        return None
    return replace(found, indices=torch.as_tensor(indices)[found.indices])


@dataclass(frozen=True)
class _Judged:
    """What a fit was judged by, for as long as there is its trainer, which nothing in here keeps alive."""

    module: ReferenceType[pl.LightningModule]
    steps: int
    model: pl.LightningModule | None  # None: the module itself
    found: Predictions | None


_JUDGED: WeakKeyDictionary[pl.Trainer, _Judged] = WeakKeyDictionary()


def judged(trainer: pl.Trainer, module: pl.LightningModule) -> tuple[pl.LightningModule, Predictions | None]:
    """Return what a fit is judged by: the model of its best checkpoint, and its predictions; computed once a module.

    Without a judge, or where nothing was validated, the model is the module as it is. To be called when the fit is
    over, by every process.
    """
    known = _JUDGED.get(trainer)
    if known is None or known.module() is not module or known.steps != trainer.global_step:
        best = best_of(trainer)
        model = None if best is None else model_of(best, module).to(trainer.strategy.root_device)
        found = predict_validation(trainer, require_probabilities(module if model is None else model, "predictions"))
        if best is not None and found is not None:
            _compare(best, found)
        known = _JUDGED[trainer] = _Judged(ref(module), trainer.global_step, model, found)
    return (module if known.model is None else known.model), known.found


def model_of(best: Best, module: pl.LightningModule) -> pl.LightningModule:
    """Return the model that the file holds; a copy of the module, whose class may be one that nobody can import."""
    # What a step has left on the module, such as its output, hangs on a graph, which cannot be copied.
    graphs = [t for m in module.modules() for t in vars(m).values() if isinstance(t, Tensor) and not t.is_leaf]
    model = copy.deepcopy(module, {id(tensor): tensor.detach() for tensor in graphs})
    model.trainer = None
    checkpoint = torch.load(best.path, map_location=module.device, weights_only=True)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model.eval()


def _compare(best: Best, found: Predictions) -> None:
    """Say so where the file does not do what the validation of its epoch has seen."""
    name, _ = found.task.best_metric
    does = found.task.summary(found.task.seen(found.probabilities, found.labels), intervals=False)[name]
    seen = best.metrics.get(name)
    if seen is not None and abs(seen - does) > APART + 1 / len(found.labels):
        rank_zero_warn(
            f"{best.path.name} has a {name} of {does:.4f} on the validation images, the validation of epoch "
            f"{best.epoch} said {seen:.4f}: something acts on images or weights in a fit that the checkpoint does not "
            "hold; what is reported is what the file does"
        )
