"""The image classifier: a timm backbone and a head. It knows no callback and no logger."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from typing_extensions import override

from lightning_recipes.data.batch import Batch, Features
from lightning_recipes.data.of_trainer import image_data_of
from lightning_recipes.data.pictures import Pictures, as_pictures
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.models.backbone import check_image_size, create_backbone
from lightning_recipes.models.dropout_order import dropout_before_norm
from lightning_recipes.models.groups import LayerGroup, layer_groups
from lightning_recipes.models.heads import create_head, is_linear, pooling_of
from lightning_recipes.models.initialization import initialize_
from lightning_recipes.models.weights import Weights
from lightning_recipes.modules.classification import ClassificationModule
from lightning_recipes.optim.losses import create_loss
from lightning_recipes.stages.plan import Plan

__all__ = ["ImageClassifier"]

log = logging.getLogger(__name__)

BYPASSED = ("forward", "logits_of", "on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
"""What a subclass may do to images between the loader and the head that stored features do not go through."""


class ImageClassifier(ClassificationModule):
    """Any timm backbone with a fresh head, ready for freeze-then-unfreeze transfer learning.

    Made to be subclassed: override :meth:`configure_head`, :meth:`configure_loss`, :meth:`configure_metrics`,
    :meth:`forward` or :meth:`compute_loss`; each does one thing.

    A batch is (images, labels, ...): images (N, 3, H, W) normalised, labels (N,) int64.

    Args:
        backbone: Name of a timm architecture, with or without a tag: ``resnet50``, ``resnet50.a1_in1k``.
        num_classes: Number of classes, >= 2 (on the command line: linked from the data).
        pretrained: ``true`` (timm's own weights), ``false``, a path to a ``.safetensors``, ``.pth`` or a run's
            ``.ckpt``, ``hf-hub:...``, or ``embedded:letters``. A classifier for other classes is dropped.
        backbone_kwargs: Arguments of the timm architecture, such as ``drop_path_rate``.
        image_size: Side of the images in pixels, for backbones that are built for one size (linked from the data).
        class_names: Names of the classes (linked from the data).
        class_counts: Training images of each class, for losses that weigh classes (linked from the data).
        lr: Base learning rate of the head, at the peak of the schedule.
        lr_decay: Factor between neighbouring layer groups, in (0, 1]: group g, counted from the head, trains at
            ``lr * lr_decay ** g``.
        weight_decay: Of the weights; biases and norm weights get none.
        optimizer: Optimizer of torch or timm by name or class path, with its arguments.
        schedule: Factor on all rates over a stage, with its arguments: ``constant``, ``cosine``, ``one_cycle`` and
            more.
        loss: On logits (N, C) and labels, with its arguments: ``cross_entropy``, ``binary_cross_entropy``, ``focal``,
            ``soft_f1``, ``mean_squared_error``; with several labels an image ``binary_cross_entropy``, ``focal``,
            ``asymmetric``; or a module class by its path (default: the first of them).
        dropout: Share of the features that the head does not see in a training step, in [0, 1) (Srivastava et al.
            2014).
        freeze_norm_stats: Keep the norm statistics of the backbone as pretrained, also where it trains.
        init: Initialisation of a backbone that is not pretrained: ``xavier``, ``kaiming`` or ``orthogonal`` (default:
            the architecture's own).
        activation: Activation of the backbone where it can be chosen: ``relu``, ``gelu``, ``silu`` or ``mish``
            (default: the architecture's own; pretrained weights expect theirs).
        channels_last: Keep images and weights with the channels last in memory, which convolutions are quicker on; the
            result is the same up to rounding.
        compile: Compile the backbone with ``torch.compile``, or a mapping of its arguments.
        task: What labels are: ``multiclass`` (one class an image), ``multilabel`` (any number of them), or the import
            path of a task.
        head: On the features, with its arguments: ``linear``, ``mlp``, ``cosine``, ``concat_pool`` (fastai's),
            ``attention`` (over tokens), or a module class by its path, made with ``num_features`` and ``num_classes``.
        in_chans: Channels of an image (linked from the data).
        metrics: What validation and test measure besides: ``balanced_accuracy``, ``roc_auc``, ``average_precision``,
            ``log_loss``; each can decide which epoch is best, as ``best_checkpoint.monitor: val_roc_auc``.
        reject_below: Probability below which ``predict`` says none of the classes, in (0, 1] (default: never).
        coordinates: Give the backbone's first convolution the row and the column of each pixel, from -1 to 1, as two
            more channels, for labels that depend on where something is (CoordConv, Liu et al. 2018, section 3). Their
            weights begin at zero: pretrained ones keep what they know.

    Raises:
        UserError: The backbone, its weights or a value does not fit; the text names the key.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        pretrained: bool | str = True,
        backbone_kwargs: dict[str, Any] | None = None,
        image_size: int | None = None,
        class_names: list[str] | None = None,
        class_counts: list[int] | None = None,
        lr: float = 1e-3,
        lr_decay: float = 1.0,
        weight_decay: float = 0.01,
        optimizer: str | dict[str, Any] = "adamw",
        schedule: str | dict[str, Any] = "cosine",
        loss: str | dict[str, Any] | None = None,
        dropout: float = 0.0,
        freeze_norm_stats: bool = False,
        init: str | None = None,
        activation: str | None = None,
        channels_last: bool = False,
        compile: bool | dict[str, Any] = False,  # noqa: A002 - as torch calls it
        task: str = "multiclass",
        head: str | dict[str, Any] = "linear",
        in_chans: int = 3,
        metrics: list[str] | str | None = None,
        reject_below: float | None = None,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            class_names=class_names,
            task=task,
            metrics=metrics,
            reject_below=reject_below,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            freeze_norm_stats=freeze_norm_stats,
        )
        refuse_bad_values("model", ("dropout", dropout, 0 <= dropout < 1, "a share in [0, 1)"))
        if init is not None and pretrained:
            raise UserError("model.init: pretrained weights would be lost; set model.pretrained: false as well")
        self.save_hyperparameters()
        built = create_backbone(
            backbone,
            num_classes=num_classes,
            pretrained=pretrained,
            backbone_kwargs=backbone_kwargs,
            image_size=image_size,
            activation=activation,
            pooling=pooling_of(head),
            in_chans=in_chans,
            keep_classifier=is_linear(head),
            coordinates=coordinates,
        )
        self.backbone = built.features
        made = create_head(head, built.head, num_features=built.num_features, num_classes=num_classes)
        self.head = self.configure_head(made, built.num_features)
        if built.weights is not None and built.weights.head is not None:
            self._take_head(built.weights)
        self._backbone_arguments = built.arguments
        if init is not None:
            initialize_(self.backbone, init)
        self.dropout = nn.Dropout(dropout)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.input_config = built.input
        self.loss = self.configure_loss()

    def _take_head(self, weights: Weights) -> None:
        """Take the head of a run for the same classes, whatever its shape; say what becomes of it otherwise.

        Names decide which classes they are; their number only where neither side has names.
        """
        assert weights.head is not None
        where, theirs, ours = f"model.pretrained: the head of '{weights.path}'", weights.class_names, self.class_names
        if weights.num_classes != self.num_classes or theirs != ours:
            many = weights.num_classes
            known = f"{many} {'class' if many == 1 else 'classes'} ({', '.join((theirs or ['no names'])[:5])})"
            log.info("%s is for %s, not these %d; a fresh one begins", where, known, self.num_classes)
            return
        try:
            self.head.load_state_dict(weights.head)
        except RuntimeError:  # another shape, in any of its layers
            rank_zero_warn(f"{where} is of another shape than this one; a fresh one begins")

    # What a subclass may want to be otherwise.

    def configure_head(self, head: nn.Module, num_features: int) -> nn.Module:
        """Return the head: features (N, ``num_features``) in, logits (N, C) out.

        Args:
            head: That of the argument ``head``; its first loss is ln(C), or it is pretrained.
            num_features: Width of the backbone's features.
        """
        return head

    def configure_loss(self) -> nn.Module:
        """Return the loss, called with logits (N, C) and labels."""
        p, task = self.hparams, self.task
        spec = p["loss"] or task.default_loss
        return create_loss(spec, num_classes=self.num_classes, class_counts=p["class_counts"], losses=task.losses)

    @override
    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C) of images (N, 3, H, W)."""
        return self.classify(self.features(images))

    # The two parts of the network.

    def features(self, images: Tensor) -> Tensor:
        """Return the backbone's features (N, F) of images (N, 3, H, W)."""
        if self.hparams["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.backbone(images)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (N, C) of features (N, F)."""
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def logits_of(self, batch: Batch | Features | Any) -> Tensor:
        """Return logits (N, C) of a batch of images or of stored features."""
        return self.classify(batch.features) if isinstance(batch, Features) else self(batch[0])

    @torch.inference_mode()
    def embed(self, images: Pictures | Sequence[Pictures], *, batch_size: int = 32) -> Tensor:
        """Return the backbone's features (N, F) of pictures, float32 on the CPU: what is alike to the network is near.

        Args:
            images: As of :meth:`predict`.
            batch_size: Pictures that are taken at once.

        Raises:
            UserError: As of :meth:`predict`.
        """
        pictures, was_training = as_pictures(images), self.training
        parts = [pictures[i : i + batch_size] for i in range(0, len(pictures), batch_size)]
        self.eval()
        try:
            found = [self.features(self.inputs_of(part)[0].to(self.device)).float().cpu() for part in parts]
        finally:
            self.train(was_training)
        return torch.cat(found) if found else torch.empty(0)

    @torch.inference_mode()
    def extract_features(self, images: Tensor, precision: Precision | None = None) -> Tensor:
        """Return the backbone's features (N, F), float32 on the CPU, as evaluation would see them.

        Args:
            images: (N, 3, H, W), on any device.
            precision: To compute them in (default: that of the module's trainer, which a copy has none of).
        """
        was_training = self.training
        self.eval()
        precision = precision or self.trainer.precision_plugin
        try:
            with self.evaluated_weights(), precision.forward_context():
                features = self.features(precision.convert_input(images.to(self.device)))
        finally:
            self.train(was_training)
        return features.float().cpu()

    @property
    @override
    def layer_groups(self) -> list[LayerGroup]:
        """Consecutive blocks of the network, stem first, head last."""
        return layer_groups(self.backbone, self.head)

    # What Lightning calls.

    @override
    def setup(self, stage: str) -> None:
        """Refuse an image size that the backbone cannot take, before anything is trained; then compile."""
        data, in_chans = image_data_of(self.trainer), self.hparams["in_chans"]
        if data is not None and data.channels != in_chans:
            raise UserError(
                f"data.channels: {data.channels}, and the model takes {in_chans}; give ImageClassifier "
                f"in_chans={data.channels}"
            )
        for size in data.image_sizes if data is not None else ():
            check_image_size(self.backbone, size, in_chans)
        super().setup(stage)
        if stage != "fit":
            return
        if (found := dropout_before_norm(self)) is not None:
            rank_zero_warn(
                f"'{found[0]}' drops units before the batch-norm '{found[1]}', whose statistics are then others in "
                "training than in evaluation (Li et al. 2018); drop after the last batch-norm, as model.dropout does"
            )
        chosen = self.hparams["compile"]
        if chosen is not False:
            self.backbone.compile(**(chosen if isinstance(chosen, dict) else {}))

    @override
    def use_plan(self, plan: Plan) -> None:
        """As of any staged module; features are refused where a subclass would not see them for images."""
        cached = next((stage.name for stage in plan.stages if stage.cache_features), None)
        own = [name for name in BYPASSED if getattr(type(self), name) is not getattr(ImageClassifier, name)]
        if cached is not None and own:
            raise UserError(
                f"stage '{cached}', cache_features: {type(self).__name__} has its own {own[0]}, which stored features "
                "would go past; override features or classify instead, or leave cache_features out"
            )
        super().use_plan(plan)

    @override
    def finished_model(self) -> dict[str, Any]:
        """As of any classifier; the weights of the backbone are in the file, wherever they came from."""
        finished = super().finished_model()
        if "pretrained" in finished["hyper_parameters"]:
            finished["hyper_parameters"] |= {
                "pretrained": False,
                "backbone_kwargs": self._backbone_arguments or None,
            }
        return finished
