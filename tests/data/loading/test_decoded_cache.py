"""Pictures that are decoded once, and what is drawn of them."""

import gc
import logging
import multiprocessing
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lightning_recipes.callbacks.stages import Stages
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading import decoded_cache
from lightning_recipes.data.loading.decoded_store import DecodedStore
from lightning_recipes.data.sources.files import FileSource
from lightning_recipes.stages.plan import Stage
from tests.small import classifier, fit


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Twenty-four JPEGs of two classes, each of another size."""
    rng = np.random.default_rng(0)
    for number in range(24):
        folder = tmp_path / "images" / ("ants", "bees")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((90 + number, 70 + 2 * number)).save(folder / f"{number}.jpg")
    return tmp_path / "images"


def data_of(root: Path, **options: Any) -> ImageDataModule:
    """Eighteen to train on, in three batches."""
    given = {"val_fraction": 0.25, "num_workers": 0, "augment": "medium", "batch_size": 6, **options}
    return ImageDataModule(str(root), image_size=32, **given)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is decoded: once to tell what all take, and then."""
    counted: Counter[str] = Counter()
    read = FileSource.read

    def counting(self: FileSource, index: int, min_size: int | None = None) -> NDArray[np.uint8]:
        counted[str(self.paths[index])] += 1
        return read(self, index, min_size)

    monkeypatch.setattr(FileSource, "read", counting)
    monkeypatch.setattr(decoded_cache, "LOOKED_AT", 100)
    return counted


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_is_the_same_to_the_bit(photographs: Path, workers: int) -> None:
    found = {}
    for cache in (None, "decoded"):
        data = data_of(photographs, cache=cache, num_workers=workers)
        trainer, weights = fit(classifier(num_classes=2), data, max_epochs=2)
        found[cache] = (weights, float(trainer.callback_metrics["val_loss"]))
    assert found[None] == found["decoded"]


def test_each_picture_is_decoded_once(photographs: Path, reads: Counter[str]) -> None:
    fit(classifier(num_classes=2), data_of(photographs, cache="decoded"), max_epochs=4)
    assert len(reads) == 24
    assert set(reads.values()) == {2}
    reads.clear()
    fit(classifier(num_classes=2), data_of(photographs), max_epochs=4)
    assert min(reads.values()) == 4


def test_stages_of_other_sizes_have_pictures_of_their_own(photographs: Path, reads: Counter[str]) -> None:
    stages = [Stage("small", epochs=2, image_size=16), Stage("large", epochs=2, image_size=24)]
    fit(classifier(num_classes=2), data_of(photographs, cache="decoded"), Stages(stages), max_epochs=-1)
    assert set(reads.values()) == {4}


def test_what_there_is_no_room_for_is_decoded_anew(
    photographs: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decoded_cache, "_room", lambda: 200_000)
    with caplog.at_level(logging.INFO, logger="lightning_recipes"):
        loader = data_of(photographs, cache="decoded").train_dataloader()
    for _ in range(3):
        assert len(list(loader)) == 3
    expected = r"data\.cache: 18 images of train take about \d+ kB decoded, and there is room for \d+% of them"
    assert any(re.fullmatch(expected, one) for one in caplog.messages)
    assert 2 <= sum(count == 2 for count in reads.values()) <= 14
    assert max(reads.values()) == 4


def test_room_that_is_enough_for_all_is_enough_for_each_split(
    photographs: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sum((90 + number) * (70 + 2 * number) * 3 for number in range(24))
    monkeypatch.setattr(decoded_cache, "_room", lambda: int(1.1 * whole))
    data = data_of(photographs, cache="decoded", val_fraction=0.1, batch_size=2)
    fit(classifier(num_classes=2), data, max_epochs=3)
    assert set(reads.values()) == {2}


def test_where_it_cannot_be_made_pictures_are_decoded_anew(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(images: int, limit: int) -> DecodedStore:
        raise OSError(28, "No space left on device")

    expected = fit(classifier(num_classes=2), data_of(photographs), max_epochs=1)[1]
    monkeypatch.setattr(DecodedStore, "new", refused)
    with caplog.at_level(logging.INFO, logger="lightning_recipes"):
        assert fit(classifier(num_classes=2), data_of(photographs, cache="decoded"), max_epochs=1)[1] == expected
    assert any("cannot be kept ([Errno 28] No space left on device)" in one for one in caplog.messages)


def test_a_loader_that_outlives_the_fit_goes_on(photographs: Path) -> None:
    data = data_of(photographs, cache="decoded", augment="none")
    loader = data.train_dataloader()
    before = len(list(loader))
    fit(classifier(num_classes=2), data, max_epochs=1)
    assert len(list(loader)) == before == 3


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux to count open files")
def test_what_nobody_has_any_more_is_freed(photographs: Path) -> None:
    def use() -> int:
        list(data_of(photographs, cache="decoded").train_dataloader())
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    use()
    assert use() == use() == use()


def test_a_disk_that_fills_up_later_ends_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    store = DecodedStore.new(1000, 10**9)
    status = os.fstat(store.address.number)
    assert status.st_blocks * 512 >= 1000 * 32  # the table, which is written through memory, has its room
    assert status.st_blocks * 512 < 10**8

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert not store.put(3, np.zeros((2, 2, 3), np.uint8))
    assert store.get(3) is None


def test_nothing_is_left_in_the_temporary_folder(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    store = DecodedStore.new(3, 100)
    assert store.put(1, np.zeros((2, 3, 3), np.uint8))
    assert not list(folder.iterdir())


def test_a_store_gives_back_what_it_was_given_and_takes_no_more_than_its_limit() -> None:
    store = DecodedStore.new(4, 60)
    first, second = (np.random.default_rng(seed).integers(0, 256, (2, 5, 3), dtype=np.uint8) for seed in (0, 1))
    assert store.get(2) is None
    assert store.put(2, first)
    assert store.put(0, second)
    assert not store.put(1, first)
    assert store.get(1) is None
    kept = store.get(2)
    assert kept is not None
    np.testing.assert_array_equal(kept, first)
    kept[:] = 0  # a copy of its own
    np.testing.assert_array_equal(store.get(2), first)


def _fill(store: DecodedStore, numbers: list[int]) -> None:
    for number in numbers:
        assert store.put(number, np.full((number + 1, 2, 3), number, np.uint8))


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_fill_it_together(method: str) -> None:
    store = DecodedStore.new(40, 10_000)
    context: Any = multiprocessing.get_context(method)
    processes = [context.Process(target=_fill, args=(store, list(range(one, 40, 2)))) for one in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for number in range(40):
        np.testing.assert_array_equal(store.get(number), np.full((number + 1, 2, 3), number, np.uint8))


def test_of_another_machine_it_cannot_be_reached() -> None:
    store = DecodedStore.new(2, 100)
    store.put(0, np.ones((1, 1, 3), np.uint8))
    assert DecodedStore.at(store.address._replace(host="elsewhere")) is None
    assert DecodedStore.at(store.address._replace(number=10_000)) is None
    other = DecodedStore.at(store.address)
    assert other is not None
    np.testing.assert_array_equal(other.get(0), np.ones((1, 1, 3)))
