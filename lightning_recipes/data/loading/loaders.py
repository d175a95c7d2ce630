"""Loaders of one process of a run."""

import os
from dataclasses import dataclass
from typing import Any, Self

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lightning_recipes.data.batch import RawBatch
from lightning_recipes.data.loading.cached_features import Extract, compute_features
from lightning_recipes.data.loading.dataset import FeatureDataset, ImageDataset, Samples
from lightning_recipes.data.loading.device_images import DeviceImages
from lightning_recipes.data.loading.eval_sampler import ShardSampler
from lightning_recipes.data.loading.image_views import ImageViews
from lightning_recipes.data.loading.train_loader import TrainLoader, keep_batch
from lightning_recipes.data.loading.train_sampler import EpochSampler

__all__ = ["AnyDataset", "LoadingProcess"]

AnyDataset = ImageDataset | FeatureDataset | DeviceImages | ImageViews


@dataclass(frozen=True)
class LoadingProcess:
    """A process that loads: its place among those of the run, and what it loads with.

    Attributes:
        world_size: Number of processes that share the images.
        rank: Which of them.
        device: Where it computes.
        num_workers: Processes of its own that read; not part of any result.
        gives_raw: Images are normalised by whoever takes them to the device, and by the loader else.
    """

    world_size: int
    rank: int
    device: torch.device
    num_workers: int
    gives_raw: bool = False

    @classmethod
    def of(cls, trainer: pl.Trainer | None, num_workers: int | None, *, gives_raw: bool = False) -> Self:
        """Return this process of a trainer, or the only one there is without a trainer.

        Args:
            trainer: None outside any run.
            num_workers: As given (default: none on a CPU, whose cores train; else one less than there are cores for
                each process, at most 8).
            gives_raw: As the attribute.
        """
        device = torch.device("cpu") if trainer is None else trainer.strategy.root_device
        if num_workers is None:
            cores = (os.cpu_count() or 2) // (1 if trainer is None else trainer.num_devices)
            num_workers = 0 if device.type == "cpu" else max(1, min(8, cores - 1))
        if trainer is None:
            return cls(1, 0, device, num_workers, gives_raw)
        return cls(trainer.world_size, trainer.global_rank, device, num_workers, gives_raw)

    def train_loader(
        self,
        dataset: AnyDataset,
        sampler: EpochSampler,
        *,
        trainer: pl.Trainer | None = None,
        keeps_workers: bool = False,
    ) -> TrainLoader:
        """Return the loader of training data; arguments as of :class:`TrainLoader` and below."""
        return TrainLoader(dataset, sampler, trainer=trainer, **self._options(dataset, keeps_workers))

    def eval_loader(
        self,
        dataset: AnyDataset,
        batch_size: int,
        *,
        order: NDArray[np.int64] | None,
        keeps_workers: bool = False,
    ) -> DataLoader[Any]:
        """Return the loader of this process's share of a split.

        Args:
            dataset: The whole split, as evaluation sees it.
            batch_size: Images a process a batch.
            order: Of the whole split (default: as it stands).
            keeps_workers: From one pass to the next, since to begin with them takes longer than a small epoch; who
                asks for that ends them.
        """
        sampler = ShardSampler(dataset, order=order, num_replicas=self.world_size, rank=self.rank)
        return DataLoader(dataset, batch_size=batch_size, sampler=sampler, **self._options(dataset, keeps_workers))

    def features(
        self, dataset: ImageDataset, extract: Extract, *, batch_size: int, views: int | None = None
    ) -> FeatureDataset:
        """Return features of all images, of which this process computes its share."""
        return compute_features(
            dataset,
            extract,
            batch_size=batch_size,
            num_workers=self.num_workers,
            views=views,
            world_size=self.world_size,
            rank=self.rank,
            device=self.device,
        )

    def _options(self, dataset: AnyDataset, keeps_workers: bool) -> dict[str, Any]:
        if isinstance(dataset, FeatureDataset):  # lies in memory, and gives batches whole
            return {"collate_fn": keep_batch}
        whole = keep_batch if self.gives_raw else RawBatch.normalised
        views = isinstance(dataset, ImageViews)
        if isinstance(dataset.drawn if isinstance(dataset, ImageViews) else dataset, DeviceImages):  # likewise
            return {"collate_fn": whole}
        return {
            "collate_fn": whole if views else Samples.raw if self.gives_raw else Samples.normalised,
            "num_workers": self.num_workers,
            "persistent_workers": keeps_workers and self.num_workers > 0,
            "pin_memory": self.device.type == "cuda",
        }
