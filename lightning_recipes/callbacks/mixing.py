"""Mixup and CutMix: training images that are made of two."""

from typing import Any

import lightning.pytorch as pl
from typing_extensions import override

from lightning_recipes.data.batch import Batch, Features
from lightning_recipes.data.transforms.mix_batch import mix
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.modules.protocols import require_staged, staged_of
from lightning_recipes.randomness import numpy_generator_for, seed_for

__all__ = ["Mixing"]


class Mixing(pl.Callback):
    """Mix the images of a training batch in pairs, by mixup or CutMix; the loss is that of both labels by their shares.

    Right with every loss on labels: ``s L(z, y_i) + (1 - s) L(z, y_j)``, which for cross-entropy is the loss of the
    mixed one-hot target. ``train_accuracy`` counts the larger share's class. The last epochs see whole images, as
    validation does. Draws are a function of (seed, epoch, batch, rank), apart from all others, so switching it off in
    one epoch changes no other draw. Batches of cached features stay as they are.

    Source: Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization"; Yun et al. (2019), "CutMix"; Touvron et
    al. (2021), "DeiT", for half of each; He et al. (2019), "Data Augmentation Revisited", for the last epochs.

    When: long trainings from scratch, from some tens of epochs on. Not with: a few epochs of fine-tuning, or CutMix
    where the part that tells the class is small.

    Args:
        mixup_alpha: Of the Beta distribution, >= 0; 0 leaves mixup out. 0.2 is mild, 0.8 strong.
        cutmix_alpha: Likewise for CutMix; 1.0 is the paper's.
        p: Share of the batches that are mixed, in [0, 1].
        switch_p: Share of those that are cut, where both are on, in [0, 1].
        off_last_epochs: Last epochs of the run without mixing, >= 0; counted from where it ends, be that its plan's
            end, ``max_epochs`` or ``max_steps``.

    Raises:
        UserError: A value cannot work; at the start of a fit, the module is not staged; after its first step,
            the module has a ``training_step`` of its own that does not call ``transform_batch``.
    """

    NAME = "mixing"

    def __init__(
        self,
        mixup_alpha: float = 0.2,
        cutmix_alpha: float = 0.0,
        p: float = 1.0,
        switch_p: float = 0.5,
        off_last_epochs: int = 0,
    ) -> None:
        refuse_bad_values(
            "Mixing",
            ("mixup_alpha", mixup_alpha, mixup_alpha >= 0, "a number >= 0"),
            ("cutmix_alpha", cutmix_alpha, cutmix_alpha >= 0, "a number >= 0"),
            ("p", p, 0 <= p <= 1, "a share from 0 to 1"),
            ("switch_p", switch_p, 0 <= switch_p <= 1, "a share from 0 to 1"),
            ("off_last_epochs", off_last_epochs, off_last_epochs >= 0, "a number >= 0"),
        )
        if not mixup_alpha + cutmix_alpha > 0:
            raise UserError("Mixing: mixup_alpha and cutmix_alpha are both 0; give one, or leave the callback out")
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.p, self.switch_p, self.off_last_epochs = p, switch_p, off_last_epochs
        self._asked = False

    def mixed(self, batch: Any, key: tuple[str | int, ...]) -> Any:
        """Return the batch as a step trains on it.

        Args:
            batch: Of the step.
            key: Of the step; what is drawn is a function of it.
        """
        self._asked = True
        if not isinstance(batch, Batch | Features):
            raise UserError(
                f"Mixing: the batch is a {type(batch).__name__}; let the data module give a Batch of "
                "lightning_recipes.data.batch, or leave Mixing out"
            )
        if isinstance(batch, Features) or len(batch.labels) < 2:
            return batch  # features of images that were not mixed
        step = seed_for(*key)
        draw = numpy_generator_for("mixing", step).random(2)
        if draw[0] >= self.p:
            return batch
        cut = self.cutmix_alpha > 0 and (self.mixup_alpha == 0 or draw[1] < self.switch_p)
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        return mix(batch, "cutmix" if cut else "mixup", alpha=alpha, seed=seed_for("mixing", step))

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mix or not; after a resume inside an epoch no epoch start will say."""
        self._apply(trainer, pl_module)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mix or not in this epoch."""
        self._apply(trainer, pl_module)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Refuse a training step that leaves the batch as it is, in silence."""
        if not self._asked and self.NAME in require_staged(pl_module, "Mixing").additions.batch_transforms:
            raise UserError(
                f"Mixing: the training_step of {type(pl_module).__name__} mixes nothing; let it begin with "
                "`batch = self.transform_batch(batch, batch_idx)`, or leave Mixing out"
            )

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = require_staged(pl_module, "Mixing")
        transforms = module.additions.batch_transforms
        if trainer.current_epoch < module.epochs_to_train - self.off_last_epochs:
            transforms[self.NAME] = self.mixed
        else:
            transforms.pop(self.NAME, None)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Mix no more."""
        if (module := staged_of(pl_module)) is not None:
            module.additions.batch_transforms.pop(self.NAME, None)
