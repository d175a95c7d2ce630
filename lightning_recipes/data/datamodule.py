"""The data of a run: opens the images, and gives each epoch the loaders that the plan asks for.

Longer than other files: the recipe's keys under ``data`` with their texts are the arguments of this one class, and what
a subclass may change is in it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from lightning_recipes.compat.lightning import is_running
from lightning_recipes.data.arguments import MULTILABEL, refuse_bad_arguments
from lightning_recipes.data.batch import RawBatch
from lightning_recipes.data.loading.cached_features import Extract
from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset, ReadableImages
from lightning_recipes.data.loading.decoded_cache import DecodedCache
from lightning_recipes.data.loading.device_cache import DeviceCache, policy_for_batches
from lightning_recipes.data.loading.eval_sampler import stratified_order
from lightning_recipes.data.loading.loader_settings import LoaderSettings, input_for
from lightning_recipes.data.loading.loaders import AnyDataset, LoadingProcess
from lightning_recipes.data.loading.stage_loader import StageLoader
from lightning_recipes.data.loading.train_loader import TrainLoader
from lightning_recipes.data.loading.train_sampler import EpochSampler, FixedSampler, Key
from lightning_recipes.data.sources.changed import Stamp, stamp_of, warn_of_changes
from lightning_recipes.data.sources.extra import say_extra, with_extra
from lightning_recipes.data.sources.open import OpenedData, open_splits
from lightning_recipes.data.sources.real_and_extra import RealAndExtra, counts_in_an_epoch
from lightning_recipes.data.sources.source import ImageSource, Subset
from lightning_recipes.data.sources.unlabelled import open_unlabelled
from lightning_recipes.errors import UserError, first_few
from lightning_recipes.input_config import ExpectsInput, Fit, ImageBackend, InputConfig
from lightning_recipes.stages.plan import Plan, Stage

__all__ = ["ImageDataModule", "Split", "warn_of_skipped"]

Split = Literal["train", "val", "test", "predict"]
MOST_AT_ONCE = 256  # images that are evaluated together, where the recipe does not say


class ImageDataModule(pl.LightningDataModule):
    """Labelled images from a folder, a zip, shards, a CSV file or a data set known by name.

    The training order and every augmentation are functions of (seed, epoch, image), so neither the number of workers
    nor a resume changes them.

    Args:
        root: A folder, or a ``.zip`` of one that is read in place, with ``train/`` and ``val/`` (``valid/``,
            ``validation/``, ``test/`` are understood) or only class folders; a folder of shards, or its URL, such as
            ``s3://bucket/shards``; a ``.csv`` with the columns path and label; ``sklearn:digits`` (ships with
            scikit-learn); ``fonts:letters`` and ``made:dots`` (drawn here); a data set of torchvision by name, such as
            ``torchvision:CIFAR10``; or the import path of a function or class that gives an
            :class:`~lightning_recipes.data.sources.source.ImageSource` or ``Splits`` of them.
        image_size: Side of the square images, in pixels (default: what the backbone was made for).
        batch_size: Images a process a training batch; ``all``: the whole set, for gradient descent proper.
        eval_batch_size: Images a process a batch of evaluation (default: ``batch_size``, at most 256).
        num_workers: Loader processes; the result does not depend on it (default: none on a CPU, whose cores train; else
            one less than there are cores for each process, at most 8).
        augment: A policy by name (``none``, ``light``, ``medium``, ``strong``, ``randaugment``, ``trivialaugment``,
            ``autoaugment``, ``augmix``, ``spectrogram``), a mapping of a name and its parameters, or a list of
            albumentations transforms.
        val_fraction: Share of each class that becomes validation where the data has no split, in (0, 1); not used with
            ``folds``.
        split_seed: Seed of that split and of ``images_per_class``; apart from the run's seed, so that runs of several
            seeds are judged on the same images.
        group: What belongs together and so on one side of that split, as the frames of a film: a column of the
            ``.csv``, or a regular expression whose first brackets find it in a picture's path below ``root``, such as
            ``(video_[0-9]+)``. Where the data bring a split that tears groups apart, that is warned of.
        folds: Cross-validation, in the place of ``val_fraction``: so many parts, each of which is held out in one run,
            >= 2 (default: none).
        fold: Which of the ``folds`` this run holds out, from 0.
        images_per_class: Train on so many images a class, drawn at random (default: all).
        balance: Draw images of smaller classes again until all classes are of one size; ``batches``: and let every
            batch hold every class equally often, exactly so where its size is a multiple of their number.
        extra: Made or found pictures that are trained on beside the real ones and never held out: class folders, a
            ``.zip`` or shards of them, or a ``.csv``, of classes of the data; or ``{root: made, weight: 0.5}``, where
            ``weight`` says how often each comes in an epoch, a real one coming once: 0.5 is half of each class, drawn
            anew in each epoch, and 2 each twice, augmented anew (default: none; weight 1).
        on_bad_image: ``error`` lists unreadable files, by their heads and ends, and stops; ``skip`` decodes each file
            before the run, and leaves out and counts those that cannot be.
        fit: How a picture becomes a square: ``crop`` cuts off what lies beyond the middle, and in evaluation the border
            that the weights were made without (timm's ``crop_pct``); ``pad`` lays it on a square of the mean colour and
            ``squish`` changes its proportions, and both are seen whole (default: as the weights were judged, else
            ``crop``).
        image_backend: What resizes pictures: ``torch``, or ``pillow``, as timm and torchvision's older transforms do.
            They differ by one of 255 levels at most in all but one of 100,000 values; the first takes a third of the
            time (default: as the weights were judged, else ``torch``).
        cache: ``decoded``: keep pictures as they were decoded, as many as there is room for, in memory that workers and
            the processes of a machine share; what is drawn of them is the same. ``device``: keep all training and
            validation images where the network computes, at the size of the stage, and draw augmentation there for a
            whole batch at once, by a policy without searched operations; crops are then of images of that size
            (default: pictures are decoded anew in each epoch).
        channels: Of an image: 3 is RGB, 1 its luminance; others are those of the files, which may be arrays (``.npy``,
            (H, W, channels)) and TIFFs of several bands (default: 3).
        mean: Of the normalisation, per channel in [0, 1] (default: the backbone's own).
        std: Of the normalisation, likewise.
        download_dir: Where data sets known by name are kept.
        predict_root: Unlabelled images for ``predict``: a folder, a ``.zip``, shards, one picture, a ``.csv`` with a
            column ``path``, a ``.txt`` with a path a line, or a list of these (default: the test or validation split).
        task: ``multilabel``: an image may have several labels, which a ``.csv`` sets apart by ``|`` (on the command
            line: that of the model).

    Attributes:
        reads_on: Whether what ``predict_root`` names is read without a look at all of it before; ``predict`` then goes
            on where an image cannot be read: it is black, and its index is the bitwise complement, below 0.

    Raises:
        UserError: The data cannot be used; the text names the key or the file and what to do.
    """

    reads_on: bool = False

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
        group: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        images_per_class: int | None = None,
        balance: bool | Literal["batches"] = False,
        extra: str | dict[str, Any] | None = None,
        on_bad_image: Literal["error", "skip"] = "error",
        fit: Fit | None = None,
        image_backend: ImageBackend | None = None,
        cache: Literal["decoded", "device"] | None = None,
        channels: int = 3,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        download_dir: str | None = None,
        predict_root: list[str] | str | None = None,
        task: str = "multiclass",
    ) -> None:
        super().__init__()
        # Lightning refuses a run whose model and data log one key with two values, and both have an image_size.
        self.save_hyperparameters(logger=False)
        refuse_bad_arguments(self.hparams)
        self.plan: Plan | None = None
        self.feature_extractor: Extract | None = None
        self._features: dict[tuple[Any, ...], FeatureDataset] = {}
        self._decoded, self._on_device = DecodedCache(), DeviceCache()
        self._train_loader: StageLoader[TrainLoader] = StageLoader()
        self._val_loader: StageLoader[DataLoader[Any]] = StageLoader()

    @cached_property
    def opened(self) -> OpenedData:
        """The data, opened and checked at the first use."""
        p = self.hparams
        if p["root"] is None:
            raise UserError("data.root: not given; name a folder of images, a .zip of one, or a .csv")
        shared = {"on_bad_image": p["on_bad_image"], "several_labels": self.several_labels, "channels": p["channels"]}
        opened = with_extra(self.open_root(p["images_per_class"]), p["extra"], **shared)
        warn_of_skipped(opened.skipped)
        return opened

    def open_root(self, images_per_class: int | None) -> OpenedData:
        """Open ``root`` as the other keys say, with so many training images a class."""
        p = self.hparams
        return open_splits(
            p["root"],
            val_fraction=p["val_fraction"],
            split_seed=p["split_seed"],
            images_per_class=images_per_class,
            on_bad_image=p["on_bad_image"],
            download_dir=p["download_dir"],
            several_labels=self.several_labels,
            group=p["group"],
            folds=p["folds"],
            fold=p["fold"],
            channels=p["channels"],
        )

    @property
    def train_source(self) -> ImageSource:
        """The images that the training loader draws from."""
        return self.opened.splits.train

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.opened.splits.train.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def several_labels(self) -> bool:
        """Whether an image may have several labels."""
        return bool(self.hparams["task"] == MULTILABEL)

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class, in the order of the labels; extra ones as often as they come in an epoch."""
        return counts_in_an_epoch(self.opened.splits.train)

    @property
    def extra_images(self) -> int:
        """Pictures of ``extra``, which come after the real ones in the training split."""
        images = self.opened.splits.train
        return len(images.extra) if isinstance(images, RealAndExtra) else 0

    @property
    def channels(self) -> int:
        """Channels of an image."""
        channels: int = self.hparams["channels"]
        return channels

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
            root, bad = self.hparams["predict_root"], self.hparams["on_bad_image"]
            found, skipped = open_unlabelled(root, "later" if self.reads_on else bad, channels=self.channels)
            warn_of_skipped(skipped)
            return found
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
            self.check_augment(self.settings_of(stage))

    @override
    def setup(self, stage: str) -> None:
        """Open the data, so that what is wrong with it is said before anything is trained."""
        if stage == "fit":  # nothing of an earlier fit: another trainer's progress, another backbone's features
            self._train_loader.forget()
            self._features = {}
        self._val_loader.forget()
        if stage == "fit" and self.plan is None:
            self.train_batches()
            self.check_augment(self.settings_of(None))
        alone = stage == "predict" and self.hparams["predict_root"] is not None  # which needs no other images
        _ = self.predict_source if alone else self.opened
        if stage == "fit" and (self.trainer is None or self.trainer.is_global_zero):
            say_extra(self.opened.splits.train)

    @cached_property
    def _stamps(self) -> dict[str, Stamp]:
        return {"train": stamp_of(self.train_source), "validation": stamp_of(self.opened.splits.val)}

    @override
    def state_dict(self) -> dict[str, Any]:
        """Return what tells the images from others, for a run that goes on."""
        return {"images": self._stamps}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warn where the images are not those of the checkpoint that a fit goes on from."""
        if self.trainer is not None and self.trainer.state.fn == "fit":
            warn_of_changes(state_dict.get("images", {}), self._stamps)

    @override
    def teardown(self, stage: str) -> None:
        """End the workers, which wait for another epoch; loaders outside a run normalise by themselves."""
        self._train_loader.forget()
        self._val_loader.forget()
        self._decoded.forget()
        self._on_device.forget()

    @override
    def on_exception(self, exception: BaseException) -> None:
        """As :meth:`teardown`, which a run that fails or is interrupted does not come to."""
        self.teardown("")

    @override
    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch as the module does, and normalise its images there."""
        if self.trainer is None:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        moved = self.trainer.lightning_module.transfer_batch_to_device(batch, device, dataloader_idx)
        if not isinstance(moved, RawBatch):
            return moved
        return self.trainer.precision_plugin.convert_input(moved.normalised())

    def settings_of(self, stage: Stage | None) -> LoaderSettings:
        """Return what the loaders of a stage are made with: the stage's own values, else the data module's."""
        augment = self.hparams["augment"] if stage is None or stage.augment is None else stage.augment
        cached = stage is not None and stage.cache_features
        views = None if stage is None else stage.feature_views
        return LoaderSettings(
            input=self._input_of(stage),
            batch_size=self._batch_size((stage and stage.batch_size) or self.hparams["batch_size"]),
            augment="none" if cached and views is None else augment,
            cache_features=cached,
            feature_views=views,
        )

    def _input_of(self, stage: Stage | None) -> InputConfig:
        """The stage's own values, else the data module's, else what the backbone's weights were made for.

        Outside a fit, weights that come from a file or from a fit bring the values that they were judged with: others
        would give other figures.
        """
        p, module = self.hparams, None if self.trainer is None else self.trainer.lightning_module
        known = None
        if isinstance(module, ExpectsInput):
            if module.judged_input is not None and not self._is_fitting():
                return module.judged_input
            known = module.input_config
        given = {name: p[name] for name in ("image_size", "mean", "std", "fit", "image_backend", "channels")}
        return input_for(stage, known, **given)

    def _batch_size(self, given: int | Literal["all"]) -> int:
        if given != "all":
            return given
        return max(1, self._sampler(1).num_batches)

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
        batches = self._sampler(settings.batch_size).num_batches
        if batches == 0:
            images, world_size = self._sampler(1).images, self._process.world_size
            many = f"{world_size} processes x {settings.batch_size}" if world_size > 1 else str(settings.batch_size)
            raise UserError(
                f"data.batch_size: a batch of {many} is larger than the training set of {images} images; "
                f"give at most {max(1, images // world_size)}"
            )
        return batches

    @override
    def train_dataloader(self) -> TrainLoader:
        """Return the loader of the current epoch's stage; the same one throughout the stage."""
        self._open_decoded()

        def make() -> TrainLoader:
            return self._make_train_loader(self.settings_of(self._stage()), self.trainer, keeps_workers=True)

        return self._train_loader.of(self._position() or 0, make)

    def rehearsal_dataloaders(self, order: int = 0, held_out: int = 0) -> tuple[TrainLoader, DataLoader[Any]]:
        """Return training images of the current stage in orders that no epoch of the run has, and some held out.

        Held out are validation images: those that an earlier stage trained on are known by heart, so their loss rises
        with every change of the weights, also with a good one.

        Args:
            order: Which rehearsal; each has another order, and holds out other images as far as there are any.
            held_out: Validation images of all processes to hold out, at most as many as there are, and as many in each;
                one fewer where a last batch would be of one.
        """
        settings, source = self.settings_of(self._stage()), self.opened.splits.val
        trained = self._make_train_loader(settings, None, purpose=("rehearsal", order))
        in_order, world_size = stratified_order(source.labels, self.hparams["split_seed"]), self._process.world_size
        each, batch_size = max(1, min(held_out, len(source)) // world_size), self._eval_batch_size()
        if each > 1 and each % batch_size == 1:  # one by itself is compared with nothing, and counts as a whole batch
            each -= 1
        some = np.resize(np.roll(in_order, -order * held_out), each * world_size)
        dataset = self.dataset_of("val", source, settings)
        return trained, self._process.eval_loader(dataset, batch_size, order=some)

    @override
    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation images, or their features in a stage that caches them; one loader throughout it."""
        self._open_decoded()

        def make() -> DataLoader[Any]:
            settings = self.settings_of(self._stage())
            return self._eval_loader("val", self.opened.splits.val, settings, keeps_workers=True)

        return self._val_loader.of(self._position() or 0, make)

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
        dataset = self._images_of(split, settings)
        return torch.stack([dataset[index].images for index in indices])

    def check_augment(self, settings: LoaderSettings) -> None:
        """Refuse an augmentation that there is not, before anything is trained."""
        if settings.feature_views and settings.augment == "none":
            raise UserError("feature_views: augment is none, so all views are the same; give data.augment a policy")
        if self.hparams["cache"] == "device" and not settings.cache_features:
            policy_for_batches(settings)
        else:
            settings.transform(train=True)

    def _images_of(self, split: Split, settings: LoaderSettings, *, train: bool = False) -> ImageDataset:
        images = settings.dataset(self._source(split), train=train)
        if split != "predict" or not self.reads_on:
            return images
        return ReadableImages(images.source, images.transform, min_size=images.min_size)

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
            view: Which draw of the augmentation, >= 0; none is one that is trained on.

        Raises:
            UserError: ``augment`` is ``none``: all views are the same.
        """
        settings = self.settings_of(None)
        if settings.augment == "none":
            raise UserError(
                "views: augment draws from data.augment, which is none; give a policy, or take flip or crops"
            )
        dataset = self._images_of(split, settings, train=True)
        return torch.stack([dataset[Key(view, index, purpose=("view",))].images for index in indices])

    def train_features(self, extract: Extract, input_config: InputConfig) -> FeatureDataset:
        """Return features of all training images as evaluation sees them; each process computes its share.

        Args:
            extract: Images (N, 3, H, W) on the CPU to features (N, F) on the CPU.
            input_config: How pictures become images.
        """
        settings = replace(self.settings_of(self._stage()), input=input_config, feature_views=None)
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
        # In the order of the files.
        images = self._images_of("predict", self.settings_of(None))
        return self._process.eval_loader(images, self._eval_batch_size(), order=None)

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

    @property
    def _process(self) -> LoadingProcess:
        return LoadingProcess.of(self.trainer, self.hparams["num_workers"], gives_raw=self._normalises_on_device)

    @property
    def _normalises_on_device(self) -> bool:
        """In a run, unless somebody else's hook is to see the images before."""
        if self.trainer is None or not is_running(self.trainer):
            return False
        hooks = ("on_before_batch_transfer", "transfer_batch_to_device")
        usual = ((self.trainer.lightning_module, pl.LightningModule), (self, ImageDataModule))
        return all(
            getattr(type(own), hook) is getattr(kind, hook) and hook not in vars(own)
            for own, kind in usual
            for hook in hooks
        )

    def _sampler(self, batch_size: int, **purpose: Any) -> EpochSampler:
        fixed = self.trainer is not None and self.trainer.overfit_batches and not purpose  # type: ignore[attr-defined]
        kind, process, images = FixedSampler if fixed else EpochSampler, self._process, self.train_source
        options = {"balance": self.hparams["balance"], "num_replicas": process.world_size, "rank": process.rank}
        if isinstance(images, RealAndExtra):
            options |= {"extra": len(images.extra), "weight": images.weight}
        return kind(images.labels, batch_size, **options, **purpose)

    def _make_train_loader(
        self, settings: LoaderSettings, trainer: pl.Trainer | None, *, keeps_workers: bool = False, **purpose: Any
    ) -> TrainLoader:
        dataset = self.dataset_of("train", self.train_source, settings, train=True)
        sampler = self._sampler(settings.batch_size, **purpose)
        return self._process.train_loader(dataset, sampler, trainer=trainer, keeps_workers=keeps_workers)

    def _eval_loader(
        self, split: Split, source: ImageSource, settings: LoaderSettings, *, keeps_workers: bool = False
    ) -> DataLoader[Any]:
        # Figures of a first part of the images are to be those of the whole.
        order = stratified_order(source.labels, self.hparams["split_seed"])
        dataset = self.dataset_of(split, source, settings)
        return self._process.eval_loader(dataset, self._eval_batch_size(), order=order, keeps_workers=keeps_workers)

    def dataset_of(
        self, split: Split, source: ImageSource, settings: LoaderSettings, *, train: bool = False
    ) -> AnyDataset:
        """Return what a loader of a split's images gives, as training or evaluation sees them.

        Args:
            split: Its name.
            source: Its images, or some of them.
            settings: What they are loaded with.
            train: Whether they are augmented.
        """
        if settings.cache_features:
            return self._cached(split, source, settings if train else replace(settings, feature_views=None))
        whole = train or (split == "val" and source is self.opened.splits.val)  # else some of them, such as for figures
        if whole and self.hparams["cache"] == "device":
            return self._on_device.of(split, source, settings, self._process, train=train)
        if whole:
            source = self._decoded.of(split, source, settings.min_size)
        return settings.dataset(source, train=train)  # images of the training split are judged, too

    def _open_decoded(self) -> None:
        """Make room for the pictures of all stages that train on some, where they are to be kept decoded."""
        if self.hparams["cache"] != "decoded" or not (self.trainer is None or self._is_fitting()):
            return
        stages = self.plan.stages if self.plan is not None else (None,)
        sizes = {one.min_size: None for one in map(self.settings_of, stages) if not one.cache_features}
        splits: tuple[Literal["train", "val"], ...] = ("train", "val")
        sources = {"train": self.train_source, "val": self._source("val")}
        self._decoded.open({(split, size): sources[split] for size in sizes for split in splits}, self.trainer)

    def _backbone_changes(self) -> int:
        """How many stages have trained the backbone; features from before the last of them are none of its."""
        stages = self.plan.stages[: self._position()] if self.plan is not None else ()
        return sum(not stage.trains_head_alone for stage in stages)

    def _cached(self, split: str, source: ImageSource, settings: LoaderSettings) -> FeatureDataset:
        if self.feature_extractor is None:
            raise UserError("cache_features: no backbone gave this data module its features; add the Stages callback")
        drawn = settings.feature_views and (settings.feature_views, repr(settings.augment))
        key = (split, settings.input, self._backbone_changes(), drawn)
        if key not in self._features:
            self._features[key] = self._features_of(source, settings, self.feature_extractor)
        return self._features[key]

    def _features_of(self, source: ImageSource, settings: LoaderSettings, extract: Extract) -> FeatureDataset:
        views = settings.feature_views
        images = settings.dataset(source, train=views is not None)
        return self._process.features(images, extract, batch_size=self._eval_batch_size(), views=views)


def warn_of_skipped(files: Sequence[str]) -> None:
    """Say how many files were left out, and name some; nothing where there are none."""
    if files:
        rank_zero_warn(f"data.on_bad_image: {len(files)} files are skipped: {first_few(files)}")
