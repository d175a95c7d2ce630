"""The data of a run: opens the images, and gives each epoch the loaders that the plan asks for."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from lightning_recipes.data.loading.cached_features import Extract, compute_features
from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset
from lightning_recipes.data.loading.eval_sampler import ShardSampler, stratified_order
from lightning_recipes.data.loading.train_loader import TrainLoader, keep_batch
from lightning_recipes.data.loading.train_sampler import EpochSampler, FixedSampler, Key
from lightning_recipes.data.sources.labels import class_counts
from lightning_recipes.data.sources.open import OpenedData, open_splits, open_unlabelled
from lightning_recipes.data.sources.source import ImageSource, Subset
from lightning_recipes.data.sources.splits import refuse_draw
from lightning_recipes.data.transforms.image_transforms import Transform, decoded_size, eval_transform, train_transform
from lightning_recipes.errors import UserError, refuse_bad_values
from lightning_recipes.input_config import MIN_IMAGE_SIZE, ExpectsInput, InputConfig
from lightning_recipes.stages.plan import Plan, Stage

__all__ = ["MULTILABEL", "ImageDataModule", "LoaderSettings", "Split"]

Augment = str | dict[str, Any] | list[Any]
Split = Literal["train", "val", "test", "predict"]
MOST_AT_ONCE = 256  # images that are evaluated together, where the recipe does not say
MULTILABEL = "multilabel"  # the task whose labels are read otherwise
REHEARSAL_EPOCH = 2**24  # far behind every epoch that is trained
VIEW_EPOCH = 2**40  # behind those
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class LoaderSettings:
    """What the loaders of one stage are made with."""

    input: InputConfig
    batch_size: int
    augment: Augment
    cache_features: bool

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.input.image_size


class ImageDataModule(pl.LightningDataModule):
    """Labelled images from a folder, a zip, a CSV file or a data set known by name.

    The training order and every augmentation are functions of (seed, epoch, image), so neither the number of workers
    nor a resume changes them.

    Args:
        root: A folder, or a ``.zip`` of one that is read in place, with ``train/`` and ``val/`` (``valid/``,
            ``validation/``, ``test/`` are understood) or only class folders; a ``.csv`` with the columns path and
            label; ``sklearn:digits`` (ships with scikit-learn); ``fonts:letters`` (drawn here); a data set of
            torchvision by name, such as ``torchvision:CIFAR10``; or the import path of a function or class that gives
            an :class:`~lightning_recipes.data.sources.source.ImageSource` or ``Splits`` of them.
        image_size: Side of the square images, in pixels (default: what the backbone was made for).
        batch_size: Images a process a training batch; ``all``: the whole set, for gradient descent proper.
        eval_batch_size: Images a process a batch of evaluation (default: ``batch_size``, at most 256).
        num_workers: Loader processes; the result does not depend on it (default: none on a CPU, whose cores train; else
            one less than there are cores for each process, at most 8).
        augment: A policy by name (``none``, ``light``, ``medium``, ``strong``, ``randaugment``, ``trivialaugment``,
            ``autoaugment``, ``augmix``, ``spectrogram``), a mapping of a name and its parameters, or a list of
            albumentations transforms.
        val_fraction: Share of each class that becomes validation where the data has no split, in (0, 1).
        split_seed: Seed of that split and of ``images_per_class``; apart from the run's seed, so that runs of several
            seeds are judged on the same images.
        images_per_class: Train on so many images a class, drawn at random (default: all).
        balance: Draw images of smaller classes again until all classes are of one size; ``batches``: and let every
            batch hold every class equally often, exactly so where its size is a multiple of their number.
        on_bad_image: ``error`` lists unreadable files and stops; ``skip`` leaves them out and counts them.
        mean: Of the normalisation, per channel in [0, 1] (default: the backbone's own).
        std: Of the normalisation, likewise.
        download_dir: Where data sets known by name are kept.
        predict_root: Unlabelled images for ``predict``: a folder, a ``.zip``, or one picture (default: the test or
            validation split).
        task: ``multilabel``: an image may have several labels, which a ``.csv`` sets apart by ``|`` (on the command
            line: that of the model).

    Raises:
        UserError: The data cannot be used; the text names the key or the file and what to do.
    """

    def __init__(
        self,
        root: str | None = None,
        image_size: int | None = None,
        batch_size: int | Literal["all"] = 32,
        eval_batch_size: int | None = None,
        num_workers: int | None = None,
        augment: str | dict[str, Any] | list[Any] = "light",
        val_fraction: float = 0.2,
        split_seed: int = 0,
        images_per_class: int | None = None,
        balance: bool | Literal["batches"] = False,
        on_bad_image: Literal["error", "skip"] = "error",
        mean: list[float] | None = None,
        std: list[float] | None = None,
        download_dir: str | None = None,
        predict_root: str | None = None,
        task: str = "multiclass",
    ) -> None:
        super().__init__()
        for key, value, least in (
            ("image_size", image_size, MIN_IMAGE_SIZE),
            ("batch_size", None if batch_size == "all" else batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("num_workers", num_workers, 0),
        ):
            right = value is None or (isinstance(value, Integral) and not isinstance(value, bool) and value >= least)
            refuse_bad_values("data", (key, value, right, f"a whole number >= {least}"))
        refuse_draw(val_fraction, split_seed, images_per_class)
        for key, channels in (("mean", mean), ("std", std)):
            right = channels is None or (len(channels) == 3 and all(map(math.isfinite, channels)))
            refuse_bad_values("data", (key, channels, right, "a list of three numbers, red, green and blue"))
        positive = "a list of three numbers > 0; images are divided by them"
        refuse_bad_values("data", ("std", std, std is None or min(std) > 0, positive))
        if task == MULTILABEL and balance:
            raise UserError("data.balance: images have several labels each; leave it out, or weigh classes by the loss")
        # Lightning refuses a run whose model and data log one key with two values, and both have an image_size.
        self.save_hyperparameters(logger=False)
        self.plan: Plan | None = None
        self.feature_extractor: Extract | None = None
        self._features: dict[tuple[str, InputConfig, int], FeatureDataset] = {}
        self._train_loader: tuple[int, TrainLoader] | None = None

    @cached_property
    def opened(self) -> OpenedData:
        """The data, opened and checked at the first use."""
        p = self.hparams
        if p["root"] is None:
            raise UserError("data.root: not given; name a folder of images, a .zip of one, or a .csv")
        opened = open_splits(
            p["root"],
            val_fraction=p["val_fraction"],
            split_seed=p["split_seed"],
            images_per_class=p["images_per_class"],
            on_bad_image=p["on_bad_image"],
            download_dir=p["download_dir"],
            several_labels=p["task"] == MULTILABEL,
        )
        if opened.skipped:
            some = ", ".join(opened.skipped[:5]) + (", ..." if len(opened.skipped) > 5 else "")
            rank_zero_warn(f"data.on_bad_image: {len(opened.skipped)} files are skipped: {some}")
        return opened

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.opened.splits.train.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class, in the order of the labels."""
        return class_counts(self.opened.splits.train.labels, self.num_classes)

    @property
    def image_size(self) -> int | None:
        """Side of the images in pixels as the recipe gives it; None where the backbone decides."""
        size: int | None = self.hparams["image_size"]
        return size

    @property
    def image_sizes(self) -> set[int]:
        """Every side that an image of this run can have."""
        return {self.settings_of(stage).image_size for stage in (*(self.plan.stages if self.plan else ()), None)}

    @property
    def input_config(self) -> InputConfig:
        """How a picture becomes an input now: in the current stage of a fit, else as the weights were judged."""
        return self.settings_of(self._stage()).input

    @cached_property
    def predict_source(self) -> ImageSource:
        """The images that ``predict`` runs over; its ``paths`` name them."""
        if self.hparams["predict_root"] is not None:
            return open_unlabelled(self.hparams["predict_root"])
        return self.opened.splits.test or self.opened.splits.val

    def use_plan(self, plan: Plan, extract: Extract | None) -> None:
        """Give every epoch the loaders of its stage.

        Args:
            plan: The stages of the run.
            extract: Gives the features for stages that cache them; None where none does.

        Raises:
            UserError: A stage's batch is larger than the training set, or its augmentation is none that there is.
        """
        self.feature_extractor = extract
        self.change_plan(plan)

    def change_plan(self, plan: Plan) -> None:
        """Take a plan whose stages are as many epochs as they turned out to be."""
        self.plan = plan
        for position, stage in enumerate(plan.stages):
            self.train_batches(position)
            self._transform(self.settings_of(stage), train=True)

    @override
    def setup(self, stage: str) -> None:
        """Open the data, so that what is wrong with it is said before anything is trained."""
        if stage == "fit":  # nothing of an earlier fit: another trainer's progress, another backbone's features
            self._train_loader, self._features = None, {}
        if stage == "fit" and self.plan is None:
            self.train_batches()
            self._transform(self.settings_of(None), train=True)
        alone = stage == "predict" and self.hparams["predict_root"] is not None  # which needs no other images
        _ = self.predict_source if alone else self.opened

    def settings_of(self, stage: Stage | None) -> LoaderSettings:
        """Return what the loaders of a stage are made with: the stage's own values, else the data module's."""
        augment = self.hparams["augment"] if stage is None or stage.augment is None else stage.augment
        cached = stage is not None and stage.cache_features
        return LoaderSettings(
            input=self._input_of(stage),
            batch_size=self._batch_size((stage and stage.batch_size) or self.hparams["batch_size"]),
            augment="none" if cached else augment,
            cache_features=cached,
        )

    def _input_of(self, stage: Stage | None) -> InputConfig:
        """The stage's own values, else the data module's, else what the backbone's weights were made for.

        Outside a fit, weights that come from a file or from a fit bring the values that they were judged with: others
        would give other figures.
        """
        p, module = self.hparams, None if self.trainer is None else self.trainer.lightning_module
        known = InputConfig(224, IMAGENET_MEAN, IMAGENET_STD, crop_pct=0.875)
        if isinstance(module, ExpectsInput):
            if module.judged_input is not None and not self._is_fitting():
                return module.judged_input
            known = module.input_config
        return InputConfig(
            (stage and stage.image_size) or p["image_size"] or known.image_size,
            tuple(p["mean"] or known.mean),
            tuple(p["std"] or known.std),
            known.interpolation,
            known.crop_pct,
        )

    def _batch_size(self, given: int | Literal["all"]) -> int:
        if given != "all":
            return given
        images = len(EpochSampler(self.opened.splits.train.labels, 1, **self._sampler_options()))
        return max(1, images)

    def _eval_batch_size(self) -> int:
        """Of the whole run, not of a stage: a limit of batches, and a loss of batches, is then one everywhere."""
        size: int = self.hparams["eval_batch_size"] or min(self._batch_size(self.hparams["batch_size"]), MOST_AT_ONCE)
        return size

    def train_batches(self, position: int = 0) -> int:
        """Return the training batches of a process in one epoch of the stage at ``position``.

        Raises:
            UserError: A batch is larger than the training set.
        """
        settings = self.settings_of(self.plan.stages[position] if self.plan else None)
        batches = self._sampler(settings).num_batches
        if batches == 0:
            images, world_size = len(self.opened.splits.train), self._trainer_value("world_size", 1)
            many = f"{world_size} processes x {settings.batch_size}" if world_size > 1 else str(settings.batch_size)
            raise UserError(
                f"data.batch_size: a batch of {many} is larger than the training set of {images} images; "
                f"give at most {max(1, images // world_size)}"
            )
        return batches

    @override
    def train_dataloader(self) -> TrainLoader:
        """Return the loader of the current epoch's stage; the same one throughout the stage."""
        position = self._position() or 0
        if self._train_loader is None or self._train_loader[0] != position:
            settings = self.settings_of(self._stage())
            loader = self._make_train_loader(settings, self._sampler(settings), trainer=self.trainer)
            self._train_loader = (position, loader)
        return self._train_loader[1]

    def rehearsal_dataloaders(self, order: int = 0, held_out: int = 0) -> tuple[TrainLoader, DataLoader[Any]]:
        """Return training images of the current stage in orders that no epoch of the run has, and some held out.

        Held out are validation images: those that an earlier stage trained on are known by heart, so their loss rises
        with every change of the weights, also with a good one.

        Args:
            order: Which rehearsal; each has another order, and holds out other images as far as there are any.
            held_out: Validation images of all processes to hold out, at most as many as there are, and as many in each.
        """
        settings, source = self.settings_of(self._stage()), self.opened.splits.val
        sampler = EpochSampler(self.opened.splits.train.labels, settings.batch_size, **self._sampler_options())
        trained = self._make_train_loader(settings, sampler, first_epoch=REHEARSAL_EPOCH + order * 2**12)
        in_order, world_size = stratified_order(source.labels, self.hparams["split_seed"]), sampler.num_replicas
        each = max(1, min(held_out, len(source)) // world_size)
        some = np.resize(np.roll(in_order, -order * held_out), each * world_size)
        return trained, self._eval_loader("val", source, settings, order=some)

    @override
    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images, or their features in a stage that caches them."""
        return self._eval_loader("val", self.opened.splits.val, self.settings_of(self._stage()))

    def evaluation_loader(
        self, split: Split, input_config: InputConfig, indices: Sequence[int] | None = None
    ) -> DataLoader[Any]:
        """Return this process's share of a split's images as evaluation sees them: never features, never augmented.

        Args:
            split: Whose images.
            input_config: How they become inputs, such as that of a best checkpoint.
            indices: Some of them (default: all); batches then count positions in this list.
        """
        if split == "val" and indices is None and type(self).val_dataloader is not ImageDataModule.val_dataloader:
            return self.val_dataloader()  # a subclass validates on images of its own
        source = self._source(split)
        source = source if indices is None else Subset(source, np.asarray(indices, dtype=np.int64))
        return self._eval_loader(split, source, replace(self.settings_of(None), input=input_config))

    def evaluation_images(self, split: Split, indices: Sequence[int], input_config: InputConfig) -> Tensor:
        """Return some images of a split as evaluation sees them, (N, 3, H, W); arguments as above."""
        settings = replace(self.settings_of(self._stage()), input=input_config)
        dataset = self._dataset(self._source(split), settings)
        return torch.stack([dataset[index].images for index in indices])

    def _source(self, split: Split) -> ImageSource:
        source = self.predict_source if split == "predict" else getattr(self.opened.splits, split)
        if source is None:
            raise UserError(
                f"data.root: '{self.hparams['root']}' has no test split; use validate, or add a test folder"
            )
        return source

    def augmented_images(self, split: Literal["val", "test", "predict"], indices: Sequence[int], view: int) -> Tensor:
        """Return evaluation images as training would see them, (N, 3, H, W); a function of image and view alone.

        Args:
            split: Whose images.
            indices: Which of them.
            view: Which draw of the augmentation, >= 0; none is one of an epoch's.

        Raises:
            UserError: ``augment`` is ``none``: all views are the same.
        """
        settings = self.settings_of(None)
        if settings.augment == "none":
            raise UserError(
                "views: augment draws from data.augment, which is none; give a policy, or take flip or crops"
            )
        dataset = self._dataset(self._source(split), settings, train=True)
        return torch.stack([dataset[Key(VIEW_EPOCH + view, index)].images for index in indices])

    def train_features(self, extract: Extract, input_config: InputConfig) -> FeatureDataset:
        """Return features of all training images as evaluation sees them; each process computes its share.

        Args:
            extract: Images (N, 3, H, W) on the CPU to features (N, F) on the CPU.
            input_config: How pictures become images.
        """
        settings = replace(self.settings_of(self._stage()), input=input_config)
        return self._features_of(self.opened.splits.train, settings, extract)

    @override
    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test images.

        Raises:
            UserError: The data has no test split.
        """
        return self._eval_loader("test", self._source("test"), self.settings_of(None))

    @override
    def predict_dataloader(self) -> DataLoader[Any]:
        """Return the images of :attr:`predict_source`."""
        return self._eval_loader("predict", self.predict_source, self.settings_of(None))

    def _trainer_value(self, name: str, default: Any) -> Any:
        return getattr(self.trainer, name) if self.trainer is not None else default

    def _position(self) -> int | None:
        """Position of the current stage; None outside a fit with a plan."""
        if self.plan is None or self.trainer is None or not self._is_fitting():
            return None
        return self.plan.index_at(self.trainer.current_epoch)

    def _is_fitting(self) -> bool:
        return self.trainer is not None and self.trainer.state.fn == "fit"

    def _stage(self) -> Stage | None:
        position = self._position()
        return None if self.plan is None or position is None else self.plan.stages[position]

    def _transform(self, settings: LoaderSettings, *, train: bool) -> Transform:
        if train and settings.augment != "none":
            return train_transform(settings.augment, settings.input)
        return eval_transform(settings.input)

    def _dataset(self, source: ImageSource, settings: LoaderSettings, *, train: bool = False) -> ImageDataset:
        return ImageDataset(source, self._transform(settings, train=train), min_size=decoded_size(settings.input))

    def _sampler(self, settings: LoaderSettings) -> EpochSampler:
        kind = FixedSampler if self._trainer_value("overfit_batches", 0) else EpochSampler
        return kind(self.opened.splits.train.labels, settings.batch_size, **self._sampler_options())

    def _sampler_options(self) -> dict[str, Any]:
        return {
            "balance": self.hparams["balance"],
            "num_replicas": self._trainer_value("world_size", 1),
            "rank": self._trainer_value("global_rank", 0),
        }

    def _make_train_loader(self, settings: LoaderSettings, sampler: EpochSampler, **position: Any) -> TrainLoader:
        source = self.opened.splits.train
        if settings.cache_features:
            return TrainLoader(self._cached("train", source, settings), sampler, collate_fn=keep_batch, **position)
        dataset = self._dataset(source, settings, train=True)
        return TrainLoader(dataset, sampler, **self._worker_options(), **position)

    def _eval_loader(
        self, split: str, source: ImageSource, settings: LoaderSettings, *, order: NDArray[np.int64] | None = None
    ) -> DataLoader[Any]:
        # Predictions keep the order of the files; figures of a first part of the images are to be those of the whole.
        if order is None and split != "predict":
            order = stratified_order(source.labels, self.hparams["split_seed"])
        world_size, rank = self._trainer_value("world_size", 1), self._trainer_value("global_rank", 0)
        sampler = ShardSampler(source, order=order, num_replicas=world_size, rank=rank)
        batch_size = self._eval_batch_size()
        if settings.cache_features:
            features = self._cached(split, source, settings)
            return DataLoader(features, batch_size=batch_size, sampler=sampler, collate_fn=keep_batch)
        dataset = self._dataset(source, settings)
        return DataLoader(dataset, batch_size=batch_size, sampler=sampler, **self._worker_options())

    def _worker_options(self) -> Mapping[str, Any]:
        workers, on_gpu = self._workers(), self._device().type == "cuda"
        return {"num_workers": workers, "pin_memory": on_gpu}

    def _workers(self) -> int:
        given: int | None = self.hparams["num_workers"]
        if given is not None:
            return given
        if self._device().type == "cpu":
            return 0
        processes: int = self._trainer_value("num_devices", 1)
        return max(1, min(8, (os.cpu_count() or 2) // processes - 1))

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _backbone_changes(self) -> int:
        """How many stages have trained the backbone; features from before the last of them are none of its."""
        stages = self.plan.stages[: self._position()] if self.plan is not None else ()
        return sum(not stage.trains_head_alone for stage in stages)

    def _cached(self, split: str, source: ImageSource, settings: LoaderSettings) -> FeatureDataset:
        if self.feature_extractor is None:
            raise UserError("cache_features: no backbone gave this data module its features; add the Stages callback")
        key = (split, settings.input, self._backbone_changes())
        if key not in self._features:
            self._features[key] = self._features_of(source, settings, self.feature_extractor)
        return self._features[key]

    def _features_of(self, source: ImageSource, settings: LoaderSettings, extract: Extract) -> FeatureDataset:
        return compute_features(
            self._dataset(source, settings),
            extract,
            batch_size=self._eval_batch_size(),
            num_workers=self._workers(),
            world_size=self._trainer_value("world_size", 1),
            rank=self._trainer_value("global_rank", 0),
            device=self._device(),
        )
