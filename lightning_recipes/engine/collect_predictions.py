"""What a module says of each image of an evaluation, kept until it is over."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from typing_extensions import override

from lightning_recipes.evaluation.gather import gather_by_index

__all__ = ["CollectPredictions", "has_predictions"]


def has_predictions(outputs: Any) -> bool:
    """Tell whether a step has returned what is said of each image, as those of an ``Evaluator`` do."""
    return isinstance(outputs, Mapping) and {"probabilities", "labels", "indices"} <= set(outputs)


class CollectPredictions(pl.Callback):
    """Keep the probabilities and labels that a ``validation_step`` or ``test_step`` of ours returns."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Tensor]] = []

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch."""
        if has_predictions(outputs):
            names = {"index": "indices", "labels": "labels", "probabilities": "probabilities"}
            self._parts.append({key: outputs[name].detach().cpu() for key, name in names.items()})

    on_test_batch_end = on_validation_batch_end

    def collected(self, trainer: pl.Trainer) -> dict[str, Tensor] | None:
        """Return ``probabilities`` and ``labels`` of all images, in their order; every process has to call.

        None where there were none, or the module's steps return something else.
        """
        return gather_by_index(self._parts, trainer.world_size)
