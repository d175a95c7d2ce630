"""A generator and a discriminator that train against each other, as one module with one optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lightning_recipes.data.batch import Batch
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.input_config import InputConfig
from lightning_recipes.models.groups import LayerGroup, groups_of
from lightning_recipes.modules.gan.discriminator import Discriminator, held
from lightning_recipes.modules.gan.frechet import FrechetDistance
from lightning_recipes.modules.gan.generator import Generator
from lightning_recipes.modules.gan.losses import discriminator_loss, generator_loss, shifted
from lightning_recipes.modules.gan.refusals import refuse_batch, refuse_data, refuse_norm, refuse_plan
from lightning_recipes.modules.staged import StagedModule
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.randomness import generator_for
from lightning_recipes.stages.plan import Plan

__all__ = ["ConditionalGAN"]

SIZES = (8, 16, 32, 64, 128)
TOGETHER = 256  # images that are made at once


class ConditionalGAN(StagedModule):
    """Makes images of a class: a small DCGAN against a projection discriminator with spectral norm and hinge loss.

    Both networks take their step at once, from the same batch: the discriminator's gradient is that of its own loss,
    the generator's goes through the discriminator as it is before the step. So there is one optimizer, whose rule acts
    on each weight alone, and stages, schedules, averages and resuming are those of any module. The two rates are
    ``lr`` of the discriminator and ``lr * lr_decay`` of the generator.

    Sources: Radford et al. (2016), "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
    Networks"; Miyato et al. (2018), "Spectral Normalization for Generative Adversarial Networks"; Miyato and Koyama
    (2018), "cGANs with Projection Discriminator"; Heusel et al. (2017), "GANs Trained by a Two Time-Scale Update Rule
    Converge to a Local Nash Equilibrium", for the two rates.

    When: more images of a kind of which there are small ones; of few, variants of those that there are. Not with:
    photographs in detail.

    Args:
        num_classes: Number of classes, >= 1 (on the command line: linked from the data).
        image_size: Side of the images in pixels: 8, 16, 32, 64 or 128 (linked from the data).
        in_chans: Channels of an image, 1 or 3 (linked from the data).
        class_names: Names of the classes (linked from the data).
        latent_size: Numbers that an image is made of, >= 1.
        width: Channels of the largest feature maps of both networks, >= 1.
        shift: Up to which share of their side images are moved before the discriminator sees them, in [0, 0.5); less
            is learned by heart of few images. 0: not at all.
        lr: Rate of the discriminator, at the peak of the schedule.
        lr_decay: Rate of the generator as a factor of that, in (0, 1]; a tenth, since a discriminator that is behind
            lets all images of a class become one.
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments (default: Adam with the betas
            0 and 0.9, of Miyato et al.).
        schedule: Factor on both rates over a stage, with its arguments.

    Raises:
        UserError: A value cannot work; the text names the key.
    """

    one_loss = False

    def __init__(
        self,
        num_classes: int,
        image_size: int | None = None,
        in_chans: int = 3,
        class_names: list[str] | None = None,
        latent_size: int = 16,
        width: int = 32,
        shift: float = 0.0,
        lr: float = 4e-3,
        lr_decay: float = 0.1,
        weight_decay: float = 0.0,
        optimizer: str | dict[str, Any] | None = None,
        schedule: str | dict[str, Any] = "constant",
    ) -> None:
        optimizer = optimizer or {"name": "adam", "betas": [0.0, 0.9]}
        super().__init__(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, optimizer=optimizer, schedule=schedule)
        refuse_bad_values(
            "model",
            ("num_classes", num_classes, num_classes >= 1, "a number >= 1"),
            ("image_size", image_size, image_size in SIZES, "8, 16, 32, 64 or 128; give data.image_size"),
            ("in_chans", in_chans, in_chans in (1, 3), "1 or 3; give data.channels"),
            ("latent_size", latent_size, latent_size >= 1, "a number >= 1"),
            ("width", width, width >= 1, "a number >= 1"),
            ("shift", shift, 0 <= shift < 0.5, "a share in [0, 0.5)"),
        )
        self.save_hyperparameters()
        assert image_size is not None
        self.num_classes, self.class_names, self.latent_size = num_classes, class_names, latent_size
        self.shift = round(shift * image_size)
        sizes = {"image_size": image_size, "channels": in_chans, "width": width}
        self.generator = Generator(num_classes, latent_size=latent_size, **sizes)
        self.discriminator = Discriminator(num_classes, **sizes)
        # What the generator can make is from -1 to 1, so that is how real images have to come.
        self.input_config = InputConfig(image_size, (0.5,) * in_chans, (0.5,) * in_chans)
        self.judged_input: InputConfig | None = None
        self.train_generator_loss, self.train_discriminator_loss = loss_mean(), loss_mean()
        self.val_frechet_distance: FrechetDistance | None = None

    # What it is to its callbacks.

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        """The generator, and the discriminator as the last group, whose rate is ``lr``."""
        return groups_of(generator=self.generator, discriminator=self.discriminator)

    @property
    @override
    def best_metric(self) -> tuple[str, str]:
        """``val_frechet_distance``: no loss of adversaries says which epoch is best."""
        return "val_frechet_distance", "min"

    @override
    def use_plan(self, plan: Plan) -> None:
        """Refuse a stage that trains one of the two alone, or on images of another size.

        Raises:
            UserError: Names the stage.
        """
        refuse_plan(plan, len(self.layer_groups), self.input_config.image_size)
        super().use_plan(plan)

    @override
    def setup(self, stage: str) -> None:
        """Refuse what would not train it, and make what judges it."""
        super().setup(stage)
        if stage == "fit":
            refuse_norm(self.trainer)
            refuse_data(self.trainer, self.input_config)
        if stage in ("fit", "validate") and self.val_frechet_distance is None:
            self.val_frechet_distance = FrechetDistance().to(self.device)

    # Training.

    @override
    def training_loss(self, batch: Batch, key: StepKey) -> Mapping[str, Tensor]:
        """Return the sum of both losses, each of which moves its own network alone, and the two."""
        refuse_batch(batch)
        real, labels = batch.images, batch.labels
        draws = generator_for("adversaries", *key, device=real.device)
        made = self.generator(self._latents(len(labels), draws), labels)
        seen = torch.cat([self._moved(real, draws), self._moved(made.detach(), draws)])
        of_real, of_made = self.discriminator(seen, labels.repeat(2)).chunk(2)
        with held(self.discriminator):
            generator = generator_loss(self.discriminator(self._moved(made, draws), labels))
        discriminator = discriminator_loss(of_real, of_made)
        return {"loss": generator + discriminator, "generator": generator, "discriminator": discriminator}

    def _latents(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, self.latent_size, generator=generator, device=generator.device)

    def _moved(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return shifted(images, self.shift, generator)

    @override
    def count_training(self, batch: Any, output: Mapping[str, Any]) -> None:
        """Count both losses."""
        super().count_training(batch, output)
        self.train_generator_loss.update(output["generator"].detach(), weight=len(batch.labels))
        self.train_discriminator_loss.update(output["discriminator"].detach(), weight=len(batch.labels))

    @override
    def training_metrics(self) -> dict[str, Any]:
        """``train_generator_loss`` and ``train_discriminator_loss``; their sum says nothing."""
        return {
            "train_generator_loss": self.train_generator_loss,
            "train_discriminator_loss": self.train_discriminator_loss,
        }

    # Validation, and use.

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val_frechet_distance`` between validation images and as many made ones of the same classes.

        The latent vectors are the same in every validation, of whichever run.
        """
        assert self.val_frechet_distance is not None
        images, labels = batch.images, batch.labels
        draws = generator_for("validation", batch_idx, self.global_rank, seed=0)
        latents = self._latents(len(labels), draws).to(self.device)
        self.val_frechet_distance.update(_pixels(images), real=True)
        self.val_frechet_distance.update(_pixels(self.generator(latents, labels)), real=False)
        self.log("val_frechet_distance", self.val_frechet_distance, prog_bar=True, batch_size=len(labels))

    @torch.inference_mode()
    def generate(self, labels: Tensor | Sequence[int], seed: int) -> Tensor:
        """Return made images (N, C, H, W), uint8, on the CPU.

        The same labels and seed give the same images on one machine, whatever else is drawn.

        Args:
            labels: (N,), int64, of the class that each is to be of.
            seed: Of the draws, >= 0.

        Raises:
            UserError: A label is of no class.
        """
        labels = torch.as_tensor(labels, dtype=torch.int64)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise UserError(f"generate: labels are numbers from 0 to {self.num_classes - 1}")
        latents = self._latents(len(labels), generator_for("made images", seed=seed))
        was_training = self.training
        self.eval()
        try:
            parts = [
                _pixels(self.generator(some.to(self.device), of.to(self.device))).cpu()
                for some, of in zip(torch.split(latents, TOGETHER), torch.split(labels, TOGETHER), strict=True)
            ]
        finally:
            self.train(was_training)
        return torch.cat(parts)


def _pixels(images: Tensor) -> Tensor:
    """Images from -1 to 1 as uint8."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
