"""Which pictures a data module keeps decoded, so that they are decoded once."""

import logging
import shutil
import tempfile
from collections.abc import Mapping

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray

from lightning_recipes.data.loading.decoded_store import DecodedStore
from lightning_recipes.data.loading.free_memory import MOST, free_memory, in_words
from lightning_recipes.data.sources.source import ImageSource

__all__ = ["DecodedCache", "DecodedImages"]

log = logging.getLogger(__name__)

LOOKED_AT = 64  # images whose sizes tell that of all
SPARE = 1.25
"""How much more than what is expected there may be."""


class DecodedImages:
    """A source whose pictures are decoded once, and are then as they were; itself a source.

    Args:
        source: Of the pictures.
        store: Of what has been decoded.
        min_size: That they are decoded for; asked for with another, they are read anew.
    """

    def __init__(self, source: ImageSource, store: DecodedStore, min_size: int) -> None:
        self.source, self.store, self.min_size = source, store, min_size
        self.classes, self.labels, self.paths = source.classes, source.labels, source.paths

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def read(self, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        """Return an image as the source gives it."""
        if min_size != self.min_size:
            return self.source.read(index, min_size)
        kept = self.store.get(index)
        if kept is not None:
            return kept
        image = self.source.read(index, min_size)
        if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3:  # else it is told elsewhere
            self.store.put(index, image)
        return image


class DecodedCache:
    """The pictures that a data module keeps decoded, of each split and size that its stages ask for."""

    def __init__(self) -> None:
        self._stores: dict[tuple[str, int], DecodedStore | None] = {}

    def open(self, wanted: Mapping[tuple[str, int], ImageSource], trainer: pl.Trainer | None) -> None:
        """Make room for pictures, and say how much it is; every process of a run is to call it at the same time.

        Args:
            wanted: Splits with the shorter sides, in pixels, that their pictures are decoded for.
            trainer: Whose processes share them; None outside a run.
        """
        if wanted.keys() <= self._stores.keys():
            return
        self.forget()
        if trainer is None or trainer.local_rank == 0:
            self._stores = _new_stores(wanted)
        if trainer is None or trainer.world_size == 1:
            return
        own = {key: store and store.address for key, store in self._stores.items()}
        for node in range(trainer.num_nodes):  # each machine has its own
            addresses = trainer.strategy.broadcast(own, src=node * trainer.num_devices)
            if trainer.node_rank == node and trainer.local_rank > 0:
                self._stores = {key: address and DecodedStore.at(address) for key, address in addresses.items()}
        trainer.strategy.barrier()  # until all have found them

    def of(self, split: str, source: ImageSource, min_size: int) -> ImageSource:
        """Return a source that decodes each picture once where there is room for that, else the source itself."""
        store = self._stores.get((split, min_size))
        return source if store is None else DecodedImages(source, store, min_size)

    def forget(self) -> None:
        """Let go of the memory; loaders that somebody keeps keep theirs."""
        self._stores = {}


def _new_stores(wanted: Mapping[tuple[str, int], ImageSource]) -> dict[tuple[str, int], DecodedStore | None]:
    """Return stores that are as large as they need to be, or each by as much smaller as all are too large.

    None for one that cannot be made.
    """
    needed = {key: _needed(key[1], source) for key, source in wanted.items()}
    total, room = sum(needed.values()), _room()
    stores: dict[tuple[str, int], DecodedStore | None] = {}
    for (split, min_size), size in needed.items():
        images, share = len(wanted[split, min_size]), min(SPARE, room / max(1, total))
        less = f", and there is room for {share:.0%} of them" if share < 1 else ""
        log.info("data.cache: %s images of %s take about %s decoded%s", f"{images:,}", split, in_words(size), less)
        try:
            stores[split, min_size] = DecodedStore.new(images, int(size * share))
        except OSError as error:
            stores[split, min_size] = None
            log.info("data.cache: they are decoded anew in each epoch, since they cannot be kept (%s)", error)
    return stores


def _needed(min_size: int, source: ImageSource) -> int:
    """Return about how many bytes all pictures of a source take decoded, by some of them."""
    images = len(source)
    places = sorted({number * images // LOOKED_AT for number in range(LOOKED_AT)}) if images else []
    return sum(np.asarray(source.read(place, min_size)).nbytes for place in places) * images // max(1, len(places))


def _room() -> int:
    """Return the bytes that pictures may take: a part of the free memory, and of the disk that stands behind it."""
    disk, memory = shutil.disk_usage(tempfile.gettempdir()).free, free_memory(torch.device("cpu"))
    return int(MOST * (disk if memory is None else min(disk, memory)))
