"""The order of evaluation: a first part is a fair sample, whoever looks at it, and the whole is the whole."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from typing_extensions import override

from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.loading.eval_sampler import ShardSampler, stratified_order
from tests.small import QUIET, classifier, digits, fit

LONG_TAIL = np.repeat(np.arange(30), [400, 200, 100, 50, 25, *[10] * 5, *[3] * 10, *[1] * 10])
EVEN = np.repeat(np.arange(10), 100)


@pytest.mark.parametrize("images", [1, 7, 8])
def test_evaluation_shards_cover_every_image_once(images: int) -> None:
    shards = [list(ShardSampler(range(images), num_replicas=3, rank=rank)) for rank in range(3)]
    assert sorted(index for shard in shards for index in shard) == list(range(images))
    assert [len(ShardSampler(range(images), num_replicas=3, rank=rank)) for rank in range(3)] == [
        len(s) for s in shards
    ]


@pytest.mark.parametrize("labels", [EVEN, LONG_TAIL, np.zeros(5, dtype=int), np.zeros(0, dtype=int)])
def test_any_first_part_holds_every_class_in_its_share_of_the_whole(labels: np.ndarray) -> None:
    for seed in range(20):
        order = stratified_order(labels, seed)
        assert sorted(order.tolist()) == list(range(len(labels)))
        one_hot = labels[order][:, None] == np.unique(labels)
        shares = one_hot.mean(axis=0) if len(labels) else 0
        excess = one_hot.cumsum(axis=0) - np.arange(1, len(labels) + 1)[:, None] * shares
        assert np.abs(excess).max(initial=0) < 3  # images; in class order hundreds, at random 14


def test_a_class_of_one_image_is_in_the_first_tenth_of_one_order_in_ten() -> None:
    first = [int(i) for seed in range(500) for i in stratified_order(LONG_TAIL, seed)[: len(LONG_TAIL) // 10]]
    alone = range(len(LONG_TAIL) - 10, len(LONG_TAIL))
    drawn = sum(i in alone for i in first) / (500 * len(alone))
    assert abs(drawn - 0.1) < 0.02


def test_the_order_is_a_function_of_the_split_seed_and_not_of_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        orders.append(stratified_order(EVEN, 5).tolist())
    assert orders[0] == orders[1] != stratified_order(EVEN, 6).tolist()


class SeeIndices(pl.Callback):
    """Keeps positions and labels of every image that is evaluated."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, int]]] = {}

    def _keep(self, stage: str, batch: Any) -> None:
        self.seen.setdefault(stage, []).extend(zip(batch[2].tolist(), batch[1].tolist(), strict=True))

    @override
    def on_validation_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, i: int, j: int = 0) -> None:
        assert trainer.state.fn is not None
        self._keep(trainer.state.fn.value, batch)

    @override
    def on_test_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, i: int, j: int = 0) -> None:
        self._keep("test", batch)

    @override
    def on_predict_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, i: int, j: int = 0) -> None:
        self._keep("predict", batch)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three classes of scans, in the folders train, val and test."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 12), ("test", 12)):
        for name in ("ants", "bees", "wasps"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                noise = draw.integers(0, 255, (8, 8), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / "data" / split / name / f"{number:02d}.png")
    return tmp_path / "data"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fit_validate_and_test_see_the_same_fair_first_part_and_predict_the_files_in_order(
    folders: Path, workers: int
) -> None:
    options = {"image_size": 16, "batch_size": 4, "num_workers": workers, "eval_batch_size": 3}
    seen, data = SeeIndices(), ImageDataModule(str(folders), **options)  # type: ignore[arg-type]
    model = classifier(num_classes=3)
    limits: dict[str, Any] = {"limit_val_batches": 2, "limit_test_batches": 2, "limit_predict_batches": 2}
    trainer, _ = fit(model, data, seen, max_epochs=2, limit_train_batches=1, **limits)
    trainer.validate(model, datamodule=data, verbose=False)
    trainer.test(model, datamodule=data, verbose=False)
    trainer.predict(model, datamodule=data)
    validated = seen.seen["validate"]
    assert Counter(label for _, label in validated) == {0: 2, 1: 2, 2: 2}
    assert seen.seen["fit"] == validated * 2
    assert Counter(label for _, label in seen.seen["test"]) == {0: 2, 1: 2, 2: 2}
    assert [index for index, _ in seen.seen["predict"]] == list(range(6))


def judge(folder: Path, batch_size: int, **options: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Fit on digits with two batches of validation, and return the summary and the rows of its predictions."""
    data = digits(batch_size=batch_size, eval_batch_size=batch_size, val_fraction=0.05)
    fit(classifier(backbone_kwargs={}), data, RunSummary(str(folder)), max_epochs=1, limit_val_batches=2, **options)
    with (folder / "val_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    loaded: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return loaded, rows


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
def test_two_processes_judge_the_first_part_that_one_judges_with_twice_the_batch(tmp_path: Path) -> None:
    two, two_rows = judge(tmp_path / "two", 5, strategy="ddp_fork", devices=2)
    one, one_rows = judge(tmp_path / "one", 10)
    assert two["val_images"] == one["val_images"] == 20
    assert [row["path"] for row in two_rows] == [row["path"] for row in one_rows]
    assert [row["path"] for row in one_rows] == sorted(row["path"] for row in one_rows)
    assert set(Counter(row["true"] for row in one_rows).values()) == {2}
    torch.testing.assert_close(two["val_loss"], one["val_loss"], rtol=1e-4, atol=1e-4)


def test_a_loader_of_all_images_reads_each_once() -> None:
    data = digits(val_fraction=0.1)
    trainer = pl.Trainer(**QUIET)
    data.trainer = trainer
    loader: DataLoader[Any] = data.val_dataloader()
    indices = torch.cat([batch.indices for batch in loader])
    assert sorted(indices.tolist()) == list(range(len(data.opened.splits.val)))
    assert indices.tolist() != sorted(indices.tolist())


def test_some_images_of_a_split_are_told_by_their_place_in_the_list(folders: Path) -> None:
    data = ImageDataModule(str(folders), image_size=16, eval_batch_size=4, num_workers=0)
    wanted = [11, 2, 30, 7, 25, 18]
    seen: dict[int, Any] = {}
    for batch in data.evaluation_loader("test", data.input_config, wanted):
        seen.update({wanted[place]: image for place, image in zip(batch.indices.tolist(), batch.images, strict=True)})
    assert sorted(seen) == sorted(wanted)
    expected = data.evaluation_images("test", wanted, data.input_config)
    assert all(torch.equal(seen[index], image) for index, image in zip(wanted, expected, strict=True))
