"""A backbone that learns without labels, judged by what a few labels make of its features."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy
from typing_extensions import override

from lightning_recipes.components import import_path, taken_by
from lightning_recipes.data.batch import Batch, Features
from lightning_recipes.data.pictures import Pictures
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.evaluation.embeddings import effective_rank, spread
from lightning_recipes.evaluation.metrics import loss_mean
from lightning_recipes.evaluation.prediction import Prediction
from lightning_recipes.evaluation.probes import linear_probe, nearest_classes
from lightning_recipes.models.backbone import check_image_size
from lightning_recipes.models.groups import LayerGroup, groups_of, layer_groups
from lightning_recipes.modules.classifier import ImageClassifier
from lightning_recipes.modules.pretraining.method import Method, create_method
from lightning_recipes.modules.staged import StagedModule
from lightning_recipes.modules.step_additions import StepKey
from lightning_recipes.optim.losses import create_loss
from lightning_recipes.randomness import seed_process

__all__ = ["PretrainingModule"]

OWN = "method."
FEWEST_EMBEDDINGS = 16
"""Fewer lie over few directions whatever they are."""
MOST_EMBEDDINGS = 1024
"""Whose spread is measured: the singular values of more take as long as many steps."""


class PretrainingModule(ImageClassifier):
    """Any timm backbone that learns without labels; with some, its head is a linear probe that no step trains.

    At the start of each validation the probe is fitted on the features of the training images whose labels may be used,
    so that a run is judged as a classifier is: ``val_accuracy`` and its interval are the probe's, ``val_knn_accuracy``
    is that of the nearest neighbours. Without labels ``val_pretext_loss`` decides which epoch is best, and nothing is
    classified.

    ``best.ckpt`` is an :class:`ImageClassifier` of the backbone and the probe: for ``load``, ``export``, ``predict``,
    and as ``model.pretrained`` of a ``fit``.

    Args:
        backbone: Name of a timm architecture, with or without a tag: ``resnet50``, ``vit_tiny_patch16_224``.
        num_classes: Number of classes of the images that judge; below 2 there are none (linked from the data).
        method: What is learned, with its arguments: ``simclr``, ``barlow_twins``, ``simsiam``, ``denoising``,
            ``siamese``; or the import path of a method.
        neighbours: How many vote for the class of an image in ``val_knn_accuracy``, >= 1.
        pretrained: As of :class:`ImageClassifier` (default: nothing is known before).
        backbone_kwargs: Arguments of the timm architecture.
        image_size: Side of the images in pixels, for backbones that are built for one size (linked from the data).
        class_names: Names of the classes (linked from the data).
        lr: Base learning rate of the method's own layers, at the peak of the schedule.
        lr_decay: Factor between neighbouring layer groups, in (0, 1].
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments.
        schedule: Factor on all rates over a stage, with its arguments.
        init: As of :class:`ImageClassifier`.
        activation: Likewise.
        channels_last: Likewise.
        compile: Likewise.
        in_chans: Channels of an image (linked from the data).
        metrics: What validation measures of the probe besides.

    Attributes:
        fits_head: The probe belongs to the weights of the last validation, and to no others.

    Raises:
        UserError: As of :class:`ImageClassifier`; or there is no such method.
    """

    fits_head = True

    def __init__(
        self,
        backbone: str,
        num_classes: int = 0,
        method: str | dict[str, Any] = "simclr",
        neighbours: int = 20,
        pretrained: bool | str = False,
        backbone_kwargs: dict[str, Any] | None = None,
        image_size: int | None = None,
        class_names: list[str] | None = None,
        lr: float = 1e-3,
        lr_decay: float = 1.0,
        weight_decay: float = 0.01,
        optimizer: str | dict[str, Any] = "adamw",
        schedule: str | dict[str, Any] = "cosine",
        init: str | None = None,
        activation: str | None = None,
        channels_last: bool = False,
        compile: bool | dict[str, Any] = False,  # noqa: A002 - as torch calls it
        in_chans: int = 3,
        metrics: list[str] | str | None = None,
    ) -> None:
        self.has_labels = num_classes > 1
        super().__init__(
            backbone,
            num_classes if num_classes > 1 else 2,
            pretrained,
            backbone_kwargs,
            image_size,
            class_names,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            init=init,
            activation=activation,
            channels_last=channels_last,
            compile=compile,
            in_chans=in_chans,
            metrics=metrics,
        )
        refuse_bad_values("model", ("neighbours", neighbours, neighbours >= 1, "a number >= 1"))
        self.head.requires_grad_(False)  # it is fitted, not trained
        self.method: Method = create_method(method, self._shapes(image_size, in_chans))
        self.lowest_loss = self.method.lowest_loss
        if channels_last:
            self.method.to(memory_format=torch.channels_last)
        self.val_pretext_loss = loss_mean()
        self.knn_accuracy = MulticlassAccuracy(self.num_classes, average="micro", validate_args=False)
        self._labelled: tuple[Tensor, Tensor] | None = None
        self._embedded: Tensor | None = None

    def _shapes(self, image_size: int | None, in_chans: int) -> Mapping[str, Callable[[], int]]:
        assert isinstance(self.head, nn.Linear)
        size, width = image_size or self.input_config.image_size, self.head.in_features

        @cache  # two of the shapes ask for it
        def of_map() -> torch.Size:
            return check_image_size(self.backbone, size, in_chans, forward=self.feature_map).shape

        return {
            "num_features": lambda: width,
            "map_features": lambda: of_map()[1],
            "stride": lambda: self._stride(size, of_map()[-1]),
            "in_chans": lambda: in_chans,
        }

    def _stride(self, size: int, places: int) -> int:
        """Pixels between two places of the map: as timm says, where that covers the image; else as they cover it."""
        infos: Any = getattr(self.backbone, "feature_info", None) or [{}]
        said = infos[-1].get("reduction", 0) if isinstance(infos, list) else 0
        return said if said * (places - 1) < size <= said * places else -(-size // places)

    @override
    def configure_loss(self) -> nn.Module:
        """Return the probe's loss, which is measured and not trained by."""
        return create_loss(self.task.default_loss, num_classes=self.num_classes, losses=self.task.losses)

    @property
    def not_offered(self) -> frozenset[str]:
        """What the class has and this module does not: without labels it gives no probabilities."""
        return frozenset() if self.has_labels else frozenset({"task"})

    @property
    @override
    def best_metric(self) -> tuple[str, str]:
        return self.task.best_metric if self.has_labels else ("val_pretext_loss", "min")

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the backbone, stem first, and the method's own layers last; the probe is in none."""
        return [*layer_groups(self.backbone, self.head)[:-1], *groups_of(method=self.method)]

    @property
    def views_per_image(self) -> int:
        """Of each image in a training step."""
        return self.method.views

    # The network.

    def feature_map(self, images: Tensor) -> Tensor:
        """Return the backbone's features before they are pooled, (N, F, H', W'), of images (N, C, H, W)."""
        if self.hparams["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        backbone: Any = self.backbone
        found: Tensor = backbone.forward_features(images)
        if found.ndim == 3:  # tokens, the class token and its like first
            tokens = found[:, getattr(backbone, "num_prefix_tokens", 0) :]
            side = round(tokens.shape[1] ** 0.5)
            return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
        channels_at_the_end = found.shape[1] == found.shape[2] != found.shape[3]
        return found.permute(0, 3, 1, 2) if channels_at_the_end else found

    @override
    def logits_of(self, batch: Batch | Features | Any) -> Tensor:
        """Return the probe's logits (N, C) of a batch; of several views the first, which is the evaluation's."""
        if isinstance(batch, Features):
            return self.classify(batch.features)
        logits: Tensor = self(batch[0][:, 0] if batch[0].ndim == 5 else batch[0])
        return logits

    @override
    def predict(self, images: Pictures | Sequence[Pictures], *, batch_size: int = 32) -> list[Prediction]:
        """Return what the probe takes pictures for, as any classifier does.

        Raises:
            UserError: There were no labels to fit one on; or as of any classifier.
        """
        if not self.has_labels:
            raise UserError("predict: it learned without labels, and no class is known; embed gives features")
        return super().predict(images, batch_size=batch_size)

    # Training.

    @override
    def on_train_start(self) -> None:
        """Refuse what would change what is compared, and labels that a method needs and that there are not.

        Raises:
            UserError: There is such a callback, no label, or nothing that an image is compared with in validation.
        """
        super().on_train_start()
        if self.additions.batch_transforms:
            names = ", ".join(self.additions.batch_transforms)
            raise UserError(f"trainer.callbacks: {names} would change what is compared; leave Mixing out")
        if self.additions.micro_batches > 1 and self.method.compares_images:
            raise UserError(
                "trainer.callbacks: MicroBatches would compare the images of each part alone; leave it out, and give a "
                "smaller data.batch_size"
            )
        name, data = type(self.method).__name__, self.image_data()
        if self.method.needs_labels and not self.has_labels:
            raise UserError(f"model.method: {name} pairs images by their labels, and there are none; give data.root")
        if self.method.compares_images and data is not None and data.hparams["eval_batch_size"] == 1:
            raise UserError(f"data.eval_batch_size: {name} compares the images of a batch; give 2 or more")

    @override
    def training_loss(self, batch: Any, key: StepKey) -> Mapping[str, Any]:
        """Return the method's ``loss`` of a batch of views.

        Raises:
            UserError: The method compares images, and there is one.
        """
        if self._is_alone(batch):
            raise UserError(
                f"data.batch_size: {type(self.method).__name__} compares the images of a batch, and this one has a "
                "single image; give 2 or more"
            )
        loss, embeddings = self.method.loss(self, batch.images[:, -self.views_per_image :], batch.labels, key)
        return {"loss": loss, "embeddings": embeddings.detach()}

    @override
    def count_training(self, batch: Any, output: Mapping[str, Any]) -> None:
        """Count the loss, and keep the embeddings until the next step."""
        StagedModule.count_training(self, batch, output)
        self._embedded = output["embeddings"]

    @override
    def training_metrics(self) -> dict[str, Any]:
        """Return the method's loss."""
        return {"train_pretext_loss": self.train_loss}

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log at the last batch what the steps added up, and how far its embeddings are spread."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.trainer.is_last_batch and self._embedded is not None and len(self._embedded) >= FEWEST_EMBEDDINGS:
            embeddings = self._embedded[:MOST_EMBEDDINGS].float().cpu()
            found = {"train_embedding_spread": spread(embeddings), "train_embedding_rank": effective_rank(embeddings)}
            self.log_dict(found, on_step=False, on_epoch=True, sync_dist=True)

    def _is_alone(self, batch: Any) -> bool:
        return self.method.compares_images and len(batch.images) < 2

    # Validation.

    @override
    def on_validation_epoch_start(self) -> None:
        """Fit the probe, where a fit is under way and there are labels; know the neighbours."""
        self._labelled = None
        data = self.image_data()
        if not self.has_labels or data is None or self.trainer.sanity_checking:
            return
        known = data.train_features(self.extract_features, self.input_used)
        if not known.features.isfinite().all():  # of a training that diverged
            return
        self._labelled = known.features.to(self.device), known.labels.to(self.device)
        if self.trainer.state.fn == "fit":
            self._take_probe(*linear_probe(known.features, known.labels, self.num_classes))

    @torch.no_grad()
    def _take_probe(self, weight: Tensor, bias: Tensor) -> None:
        assert isinstance(self.head, nn.Linear)
        self.head.weight.copy_(weight)
        self.head.bias.copy_(bias)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        """Log the method's loss, the probe's metrics and the neighbours' accuracy; return what the probe says."""
        seen = batch.images[:, 0]
        key: StepKey = ("validation", batch_idx, self.global_rank)
        if not self._is_alone(batch):  # a last image by itself has nothing to be compared with
            with isolate_rng():
                seed_process(*key)
                loss, _ = self.method.loss(self, batch.images[:, 1:], batch.labels, key)
            self.val_pretext_loss.update(loss, weight=len(seen))
        self.log("val_pretext_loss", self.val_pretext_loss, batch_size=len(seen))
        features = self.features(seen)
        if not self.has_labels:
            return None
        if self._labelled is not None:
            known = {"neighbours": self.hparams["neighbours"], "num_classes": self.num_classes}
            self.knn_accuracy.update(nearest_classes(*self._labelled, features, **known), batch.labels)
            self.log("val_knn_accuracy", self.knn_accuracy, batch_size=len(seen))
        return super().validation_step(Features(features, batch.labels, batch.indices), batch_idx)

    # Checkpoints.

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As of any classifier; a file of weights alone is one of the backbone and the probe."""
        super().on_save_checkpoint(checkpoint)
        if "optimizer_states" in checkpoint:
            return
        weights = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in weights.items() if not name.startswith(OWN)}
        if self.has_labels:
            arguments = checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY]
            checkpoint["class_path"] = import_path(ImageClassifier)
            checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = taken_by(ImageClassifier, arguments)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As of any classifier; without labels there are no classes to be others."""
        if not self.has_labels:
            saved = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
            alike = {**saved, "num_classes": self.num_classes, "class_names": self.class_names}
            checkpoint = {**checkpoint, self.CHECKPOINT_HYPER_PARAMS_KEY: alike}
        super().on_load_checkpoint(checkpoint)

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As of any module; the method's layers stay as they are where the file has none of them."""
        if not any(name.startswith(OWN) for name in state_dict):
            own = {name: value for name, value in self.state_dict().items() if name.startswith(OWN)}
            state_dict = {**state_dict, **own}
        return super().load_state_dict(state_dict, *args, **kwargs)
