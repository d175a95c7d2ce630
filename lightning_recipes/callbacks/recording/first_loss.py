"""The quick part of ``lightning-recipes check``, as a fit begins: the network's outputs, and the loss of them."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from typing_extensions import override

from lightning_recipes.checks.outputs import check_outputs
from lightning_recipes.data.batch import Batch
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.data.sources.labels import label_tensor
from lightning_recipes.engine.forward import in_eval_mode, logits_of, on_device
from lightning_recipes.modules.protocols import GivesProbabilities, offers

__all__ = ["FirstLoss"]

LOOKED_AT = 16
"""Images: a batch that takes no time."""


class FirstLoss(pl.Callback):
    """Look at the outputs and the loss of a few images before the first step, and warn of what cannot be right.

    Nothing of the training changes. Left out where a run goes on, on several processes, where the network is compiled,
    and of a module or data module that is not ours.
    """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look, and warn."""
        data = image_data_of(trainer)
        if trainer.world_size > 1 or trainer.global_step > 0 or pl_module.hparams.get("compile"):
            return
        if data is not None and offers(pl_module, GivesProbabilities):
            for check in _looked_at(trainer, pl_module, data):
                if check.status != "passed":
                    rank_zero_warn(
                        f"{check.name}: {check.measured}; expected: {check.expected}; {check.advice}; "
                        "lightning-recipes check looks at more"
                    )


def _looked_at(trainer: pl.Trainer, module: Any, data: ImageDataModule) -> Any:
    indices = list(range(min(LOOKED_AT, len(data.opened.splits.train))))
    with isolate_rng(), in_eval_mode(module):
        images = data.evaluation_images("train", indices, module.input_judged)
        labels = label_tensor(data.opened.splits.train.labels[: len(indices)])
        batch = on_device(trainer, Batch(images, labels, torch.tensor(indices)))
        return check_outputs(module, logits_of(trainer, module, batch), batch.labels)
