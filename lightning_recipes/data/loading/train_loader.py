"""The training loader: it stands where the trainer's own restored progress says, so it has no state to save."""

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader, Dataset

from lightning_recipes.compat.lightning import batch_under_way
from lightning_recipes.data.loading.train_sampler import EpochSampler

__all__ = ["TrainLoader", "keep_batch"]


def keep_batch(batch: Any) -> Any:
    """Collate a batch that the data set made whole."""
    return batch


class TrainLoader(DataLoader):  # type: ignore[type-arg]
    """A data loader that resumes inside an epoch without reading what was trained on already.

    Args:
        dataset: Takes the sampler's keys.
        sampler: Gives the order of an epoch.
        trainer: Tells the epoch and the batch; without one every iteration is the next epoch, from the first on.
        options: Further arguments of ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: EpochSampler,
        *,
        trainer: pl.Trainer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dataset, batch_size=sampler.batch_size, sampler=sampler, drop_last=True, **options)
        self._trainer = trainer
        self._next_epoch = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the rest of the epoch.

        A generator, so nothing is drawn before the first batch is asked for: Lightning makes iterators before it has
        restored its progress.
        """
        sampler, epoch, done = self.sampler, self._next_epoch, 0
        assert isinstance(sampler, EpochSampler)
        if self._trainer is not None:
            # `current_epoch`, not `set_epoch`: with max_steps the latter is off by one after a resume.
            epoch, done = self._trainer.current_epoch, batch_under_way(self._trainer) + 1
        sampler.set_epoch(epoch)
        sampler.skip_batches = done if done < len(self) else 0
        self._next_epoch += 1
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the position is the trainer's. That this method is there tells Lightning so."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing, as :meth:`state_dict` gives nothing."""
