"""The order of training images as a function of (seed, epoch)."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler, SequentialSampler
from typing_extensions import override

from lightning_recipes.data.loading.extra_draw import draw_extra
from lightning_recipes.data.sources.labels import Labels
from lightning_recipes.randomness import generator_for

__all__ = ["EpochSampler", "FixedSampler", "Key", "balanced_order"]


class Key(NamedTuple):
    """What the sampler asks the data set for: everything that the draw of an augmentation may depend on.

    Attributes:
        epoch: From 0 on; for a purpose other than training, which of its rounds.
        index: Of the image.
        repeat: How often the image came before in this epoch.
        purpose: Words for what is drawn; none: training.
    """

    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks a key for
    repeat: int = 0
    purpose: tuple[str | int, ...] = ()

    @classmethod
    def of(cls, key: "Key | int") -> "Key":
        """Return a key; a plain position counts as epoch 0."""
        return cls(0, key) if isinstance(key, int) else key


def balanced_order(labels: Labels, generator: torch.Generator, *, within_batches: bool = False) -> list[int]:
    """Return an order in which every class comes equally often: smaller classes are drawn again, all images are in it.

    Args:
        labels: One label an image, >= 0.
        generator: Consumed by one permutation a class and round, and one for the whole, or one a turn.
        within_batches: Let each class have one image in every turn of C images, so that batches are uniform too.
    """
    array = np.asarray(labels)
    members = [np.flatnonzero(array == label) for label in np.unique(array)]
    most = max(len(m) for m in members)
    picked = []
    for m in members:
        rounds = [m[torch.randperm(len(m), generator=generator).numpy()] for _ in range(-(-most // len(m)))]
        picked.append(np.concatenate(rounds)[:most])
    classes_first = np.stack(picked)
    if within_batches:
        turns = [torch.randperm(len(members), generator=generator).numpy() for _ in range(most)]
        return [
            int(classes_first[label, turn]) for turn, labels_in_turn in enumerate(turns) for label in labels_in_turn
        ]
    flat = classes_first.reshape(-1)
    return flat[torch.randperm(len(flat), generator=generator).numpy()].tolist()  # type: ignore[no-any-return]


class EpochSampler(DistributedSampler):  # type: ignore[type-arg]
    """Hands out keys in an order that depends on (seed, epoch) alone; the tail that fills no batch is left out.

    A ``DistributedSampler`` so that Lightning does not replace it. Rank r takes every world-size-th key from r on, so
    the ranks' n-th batches together are the n-th batch of one process with a batch world-size times as large.

    Args:
        labels: One label an image of the training split.
        batch_size: Images a process a batch.
        balance: Draw images of smaller classes again until all classes are of one size; ``batches``: and let every
            batch hold every class equally often, exactly so where its size is a multiple of their number.
        num_replicas: Number of processes.
        rank: This process.
        purpose: Words for what the images are drawn for; none: training.
        extra: How many of the last images are extra ones, which come as often as their weight says.
        weight: Of these: how often each comes in an epoch, a real one coming once; > 0.

    Attributes:
        images: How many come in an epoch of all ranks, with the tail.
    """

    def __init__(
        self,
        labels: Labels,
        batch_size: int,
        *,
        balance: bool | Literal["batches"] = False,
        num_replicas: int = 1,
        rank: int = 0,
        purpose: tuple[str | int, ...] = (),
        extra: int = 0,
        weight: float = 1.0,
    ) -> None:
        super().__init__(labels, num_replicas=num_replicas, rank=rank, shuffle=True, drop_last=True)  # type: ignore[arg-type]
        self.labels, self.batch_size, self.balance = labels, batch_size, balance
        self.skip_batches, self.purpose = 0, purpose
        self.extra, self.weight = extra, weight
        self.images = self._length()
        self.num_batches = self.images // (batch_size * num_replicas)

    def _length(self) -> int:
        images = self._drawn(None)  # of each class as many as in any epoch
        if not self.balance:
            return len(images)
        counts = np.unique(np.asarray(self.labels)[images], return_counts=True)[1]
        return int(counts.max()) * len(counts)

    def _drawn(self, generator: torch.Generator | None) -> NDArray[np.int64]:
        """Return the images of an epoch before they are shuffled: the real ones, and the extra ones that are drawn."""
        real = np.arange(len(self.labels) - self.extra)
        if not self.extra:
            return real
        return np.concatenate([real, len(real) + draw_extra(self.labels[len(real) :], self.weight, generator)])

    def keys(self) -> list[Key]:
        """Return the keys of this epoch, of all ranks, in their order."""
        generator = generator_for("order", *self.purpose, self.epoch)
        images = self._drawn(generator_for("extra", *self.purpose, self.epoch))
        if self.balance:
            labels = np.asarray(self.labels)[images]
            order = balanced_order(labels, generator, within_batches=self.balance == "batches")
        else:
            order = torch.randperm(len(images), generator=generator).tolist()
        indices = images[order].tolist()
        if not self.balance and (not self.extra or self.weight <= 1):  # then each comes once
            return [Key(self.epoch, index, purpose=self.purpose) for index in indices]
        # Counted over all ranks, so that an image's draws are the same however many processes share them.
        seen: dict[int, int] = {}
        keys = []
        for index in indices:
            seen[index] = seen.get(index, -1) + 1
            keys.append(Key(self.epoch, index, seen[index], self.purpose))
        return keys

    def __iter__(self) -> Iterator[Key]:
        """Yield this rank's keys, from batch ``skip_batches`` on."""
        mine = self.keys()[self.rank : self.num_batches * self.batch_size * self.num_replicas : self.num_replicas]
        return iter(mine[self.skip_batches * self.batch_size :])

    def __len__(self) -> int:
        """Images of this rank in an epoch."""
        return self.num_batches * self.batch_size


class FixedSampler(EpochSampler, SequentialSampler):  # type: ignore[misc]  # yields keys
    """Hands out the first epoch's keys in every epoch: the same images, in the same order, augmented alike.

    For ``overfit_batches``. A ``SequentialSampler`` so that Lightning does not put a true one in its place, whose first
    batches would be of one class where images lie in class folders.
    """

    @override
    def set_epoch(self, epoch: int) -> None:
        """Stay in the first."""
        super().set_epoch(0)
