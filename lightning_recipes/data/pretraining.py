"""The data of a pretraining: pictures to learn from, without their labels, and a labelled handful to judge by."""

from functools import cached_property
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import override

from lightning_recipes.data.datamodule import ImageDataModule, warn_of_skipped
from lightning_recipes.data.loading.dataset import ImageDataset
from lightning_recipes.data.loading.device_images import DeviceImages
from lightning_recipes.data.loading.image_views import ImageViews, LearnsFromViews
from lightning_recipes.data.loading.loader_settings import LoaderSettings
from lightning_recipes.data.loading.loaders import AnyDataset
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.data.sources.held_out import HeldOut
from lightning_recipes.data.sources.joined import Joined
from lightning_recipes.data.sources.leaks import copies_of
from lightning_recipes.data.sources.open import OpenedData
from lightning_recipes.data.sources.source import ImageSource, Splits, Subset
from lightning_recipes.data.sources.splits import few_per_class
from lightning_recipes.data.sources.unlabelled import open_unlabelled
from lightning_recipes.errors import UserError
from lightning_recipes.stages.plan import Plan

__all__ = ["PretrainingDataModule"]

KEY = "data.unlabelled"
UNLABELLED = "picture"
"""The one class of pictures without labels."""


class PretrainingDataModule(ImageDataModule):
    """Pictures to learn from without labels, in as many views each as the method compares.

    Learned from are the training images of ``root``, whatever their labels, and all of ``unlabelled``. The validation
    images of ``root`` are never learned from: they judge, by what a few labels make of the network's features.

    Args:
        root: As of :class:`ImageDataModule`; its validation images, and the labels of its training images, judge
            (default: nothing is judged by labels, and a share of ``unlabelled`` is held out).
        unlabelled: Further pictures to learn from: a folder, a ``.zip``, shards, one picture, a ``.csv`` with a column
            ``path``, a ``.txt`` with a path a line, or a list of these.
        images_per_class: Of how many training images a class the label may be used, drawn as a ``fit`` with this key
            draws them; all are learned from (default: of all).
        augment: As of :class:`ImageDataModule`, for each view on its own (default: the crops and colours of SimCLR).
        images: Other keys of :class:`ImageDataModule`.

    Raises:
        UserError: The data cannot be used; the text names the key or the file and what to do.
    """

    def __init__(
        self,
        root: str | None = None,
        unlabelled: list[str] | str | None = None,
        images_per_class: int | None = None,
        augment: str | dict[str, Any] | list[Any] = "simclr",
        **images: Any,
    ) -> None:
        super().__init__(root=root, images_per_class=images_per_class, augment=augment, **images)
        if root is None and unlabelled is None:
            raise UserError("data.unlabelled: not given, nor data.root; name a folder of pictures, or a .zip of one")
        if self.hparams["extra"] is not None:
            raise UserError("data.extra: a pretraining needs no labels; name further pictures in data.unlabelled")
        if self.hparams["balance"]:
            raise UserError("data.balance: classes are not to be known here; leave it out")
        if root is None and images_per_class is not None:
            raise UserError("data.images_per_class: there are no labels without data.root; leave it out, or give that")
        if self.several_labels:
            raise UserError("data.task: a pretraining is judged by images of one label each; leave multilabel out")
        self.save_hyperparameters({"unlabelled": unlabelled}, logger=False)

    # The pictures.

    @cached_property
    def opened(self) -> OpenedData:
        """The labelled images that judge, opened and checked at the first use; without any, pictures of one class."""
        opened = self._judged if self.has_labels else self._held_out
        skipped = (*opened.skipped, *(self._unlabelled[1] if self.hparams["unlabelled"] is not None else ()))
        warn_of_skipped(skipped)
        return OpenedData(opened.splits, skipped)

    @cached_property
    def _of_root(self) -> OpenedData:
        try:
            return self.open_root(None)
        except UserError as error:
            if str(error).startswith("data.root:"):
                raise UserError(f"{error}; pictures without labels are named in {KEY}") from None
            raise

    @property
    def _judged(self) -> OpenedData:
        found, few = self._of_root, self.hparams["images_per_class"]
        if few is None:
            return found
        train = few_per_class(found.splits.train, few, self.hparams["split_seed"])
        return OpenedData(Splits(train, found.splits.val, found.splits.test), found.skipped)

    @property
    def _held_out(self) -> OpenedData:
        pictures, _ = self._named
        p, alike = self.hparams, Joined([pictures], [UNLABELLED], np.zeros(len(pictures), dtype=np.int64))
        if len(pictures) < 2:
            raise UserError(f"{KEY}: one picture leaves none to hold out; give more")
        train, val = HeldOut(p["val_fraction"], p["split_seed"], p["group"], p["folds"], p["fold"]).of(alike)
        copies = sorted({*copies_of(pictures, KEY, {"validation": val})} - {*val.indices.tolist()})
        if not copies:
            return OpenedData(Splits(train, val))
        rank_zero_warn(f"{KEY}: {len(copies)} of {len(pictures)} pictures are the same as held-out ones, and left out")
        return OpenedData(Splits(Subset(alike, np.setdiff1d(train.indices, copies)), val))

    @cached_property
    def _named(self) -> tuple[FileSource, tuple[str, ...]]:
        p = self.hparams
        return open_unlabelled(p["unlabelled"], p["on_bad_image"], channels=p["channels"], key=KEY)

    @cached_property
    def _unlabelled(self) -> tuple[ImageSource, tuple[str, ...]]:
        found, skipped = self._named
        if not self.has_labels:
            return found, skipped
        splits = self._of_root.splits
        judged = copies_of(found, KEY, {"validation": splits.val, "test": splits.test})
        if not judged:
            return found, skipped
        rank_zero_warn(f"{KEY}: {len(judged)} of {len(found)} pictures are validation or test images, and are left out")
        return Subset(found, np.setdiff1d(np.arange(len(found)), judged)), skipped

    @property
    def has_labels(self) -> bool:
        """Whether labels judge."""
        return self.hparams["root"] is not None

    @cached_property
    @override
    def train_source(self) -> ImageSource:
        """The pictures to learn from; the label of one whose label is not to be used is -1."""
        if not self.has_labels:
            train = self.opened.splits.train
            return Joined([train], train.classes, np.full(len(train), -1))
        whole, known = self._of_root.splits.train, self.opened.splits.train
        labels = np.asarray(whole.labels)
        if known is not whole:
            hidden = np.full_like(labels, -1)
            hidden[known.indices] = labels[known.indices]  # type: ignore[attr-defined]  # a Subset of the whole
            labels = hidden
        sources = [whole]
        if self.hparams["unlabelled"] is not None:
            sources.append(self._unlabelled[0])
            labels = np.concatenate([labels, np.full(len(sources[1]), -1, dtype=labels.dtype)])
        return Joined(sources, whole.classes, labels)

    # What the loaders give.

    @property
    def views(self) -> int:
        """Views of each image in a training step: as many as the module compares; 0: images alone, for another one."""
        if self.trainer is None:
            return 2
        module = self.trainer.lightning_module
        return module.views_per_image if isinstance(module, LearnsFromViews) else 0

    @override
    def change_plan(self, plan: Plan) -> None:
        """As of any images; there are no features to train on."""
        for stage in plan.stages:
            if stage.cache_features:
                raise UserError(f"stage '{stage.name}', cache_features: the backbone is what learns here; leave it out")
        super().change_plan(plan)

    @override
    def check_augment(self, settings: LoaderSettings) -> None:
        """As of any images; views that are all the same teach nothing."""
        super().check_augment(settings)
        if settings.augment == "none" and self.views > 1:
            raise UserError("data.augment: none makes all views of an image the same; give a policy, such as simclr")

    @override
    def dataset_of(
        self, split: str, source: ImageSource, settings: LoaderSettings, *, train: bool = False
    ) -> AnyDataset:
        """As of any images; training's in views, validation's with views behind the one that is judged."""
        made = super().dataset_of(split, source, settings, train=train)  # type: ignore[arg-type]
        if not self.views:
            return made
        if train and isinstance(made, (ImageDataset, DeviceImages)):
            return ImageViews(made, self.views)
        if split != "val" or source is not self.opened.splits.val or not isinstance(made, (ImageDataset, DeviceImages)):
            return made
        drawn = super().dataset_of(split, source, settings, train=True)  # type: ignore[arg-type]
        assert isinstance(drawn, (ImageDataset, DeviceImages))
        return ImageViews(drawn, self.views, seen=made, purpose=("validation",))
