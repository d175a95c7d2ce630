"""The order of images: a function of (seed, epoch), shared out among ranks without loss."""

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_recipes.data.loading.dataset import ImageDataset
from lightning_recipes.data.loading.train_sampler import EpochSampler, Key
from lightning_recipes.data.transforms.image_transforms import Transform
from lightning_recipes.input_config import InputConfig
from tests.small import digits

LABELS = [0] * 20 + [1] * 13


def keys(
    epoch: int, *, skip: int = 0, balance: bool = False, replicas: int = 1, rank: int = 0, batch: int = 4
) -> list[Key]:
    sampler = EpochSampler(LABELS, batch, balance=balance, num_replicas=replicas, rank=rank)
    sampler.set_epoch(epoch)
    sampler.skip_batches = skip
    return list(sampler)


def test_an_epochs_order_is_the_same_again_and_another_in_the_next_epoch() -> None:
    assert keys(3) == keys(3)
    assert [key.index for key in keys(3)] != [key.index for key in keys(4)]


def test_every_image_comes_at_most_once_and_only_the_tail_is_left_out() -> None:
    indices = [key.index for key in keys(0)]
    assert len(indices) == len(set(indices)) == 32  # 33 images in batches of 4


def test_going_on_inside_an_epoch_gives_the_rest_of_it() -> None:
    assert keys(2, skip=3) == keys(2)[3 * 4 :]


@pytest.mark.parametrize("balance", [False, True])
def test_two_ranks_batches_are_one_ranks_batches_of_twice_the_size(balance: bool) -> None:
    whole = keys(1, batch=8, balance=balance)
    parts = [keys(1, batch=4, replicas=2, rank=rank, balance=balance) for rank in (0, 1)]
    for batch in range(len(whole) // 8):
        together = [key for part in parts for key in part[4 * batch : 4 * batch + 4]]
        assert sorted(together) == sorted(whole[8 * batch : 8 * batch + 8])


def test_balancing_draws_every_class_equally_often_and_uses_every_image() -> None:
    drawn = keys(0, balance=True)
    counts = Counter(LABELS[key.index] for key in drawn)
    assert counts == {0: 20, 1: 20}
    assert {key.index for key in drawn} == set(range(33))


def test_a_repeated_image_has_a_key_of_its_own_so_that_its_augmentation_differs() -> None:
    drawn = keys(0, balance=True)
    assert len(drawn) == len(set(drawn))


def test_the_runs_seed_changes_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        orders.append(keys(0))
    assert orders[0] != orders[1]


def test_labels_may_be_a_numpy_array() -> None:
    sampler = EpochSampler(np.asarray(LABELS), 4, balance=True)
    assert sampler.num_batches == len(list(sampler)) // 4 == 10


def test_uniform_batches_hold_every_class_equally_often_and_every_image() -> None:
    labels = [0] * 7 + [1] * 3 + [2] * 2
    sampler = EpochSampler(labels, 6, balance="batches")
    drawn = list(sampler)
    assert len(drawn) == 18  # three classes as large as the largest, in batches of six
    for start in range(0, 18, 6):
        assert sorted(labels[key.index] for key in drawn[start : start + 6]) == [0, 0, 1, 1, 2, 2]
    whole = {key.index for key in EpochSampler(labels, 1, balance="batches")}
    assert whole == set(range(12))
    assert len(set(drawn)) == len(drawn)  # an image that is drawn again has another key, and so another view


def test_uniform_batches_of_a_size_that_is_no_multiple_differ_by_two_at_most() -> None:
    labels = [0] * 7 + [1] * 3 + [2] * 2
    drawn = list(EpochSampler(labels, 4, balance="batches"))
    for start in range(0, len(drawn), 4):
        counts = np.bincount([labels[key.index] for key in drawn[start : start + 4]], minlength=3)
        assert counts.max() - counts.min() <= 2


class Seeds(Transform):
    """Notes what it is called with."""

    def pixels(self, image: NDArray[np.uint8], seed: int) -> Tensor:
        self.seeds = {*getattr(self, "seeds", ()), seed}
        return torch.zeros(1, 8, 8, dtype=torch.uint8)


def test_what_is_drawn_for_another_purpose_is_none_of_the_draws_of_training() -> None:
    source = digits().opened.splits.train

    def drawn(purpose: tuple[str | int, ...]) -> tuple[list[int], set[int]]:
        sampler = EpochSampler(source.labels, 4, purpose=purpose)
        transform = Seeds(InputConfig(8, (0.0,), (1 / 255,)))
        dataset = ImageDataset(source, transform, min_size=8)
        found = list(sampler)
        for key in found:
            dataset[key]
        return [key.index for key in found], transform.seeds

    several = [drawn(purpose) for purpose in ((), ("rehearsal", 0), ("rehearsal", 1))]
    assert len({tuple(order) for order, _ in several}) == 3
    assert len(set.union(*(seeds for _, seeds in several))) == 3 * len(source)


def test_an_image_that_comes_again_is_seen_another_way() -> None:
    data = digits(augment="medium")
    dataset = data.settings_of(None).dataset(data.opened.splits.train, train=True)
    assert not torch.equal(dataset[Key(0, 5, 0)].images, dataset[Key(0, 5, 1)].images)
