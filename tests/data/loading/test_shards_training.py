"""The weights that come of a folder, a zip and shards of the same pictures are the same to the bit."""

import json
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from PIL import Image

from lightning_recipes.callbacks.recording.run_summary import RunSummary
from lightning_recipes.data.datamodule import ImageDataModule
from lightning_recipes.data.sources.write_shards import write_shards
from tests.pictures import stored
from tests.processes import start
from tests.small import SMALL, UNREPORTED, classifier, fit, two_stages

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*", "ignore:.*fork.*:DeprecationWarning")
BATCH, BATCHES = 10, 10
KINDS = ("folder", "folder.zip", "shards")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 120 pictures of noise, a zip of it, and five shards and more of it."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, count in (("train", BATCH * BATCHES), ("val", 20)):
        for number in range(count):
            label = ("dark", "light")[number % 2]
            path = root / "folder" / split / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 150 + 100 * (number % 2), (16, 16, 3), np.uint8)).save(path)
    with zipfile.ZipFile(root / "folder.zip", "w") as file:
        for path in sorted((root / "folder").rglob("*.png")):
            file.write(path, path.relative_to(root / "folder"))
    write_shards(stored(root / "folder"), root / "shards", shard_bytes=50_000)
    assert len(list((root / "shards").glob("train-*.tar"))) >= 5
    return root


def trained(root: Path, folder: Path, workers: int, *, processes: int = 1) -> tuple[str, str]:
    """Train, and return what ``summary.json`` says of the weights, and the predictions of each image."""
    images = ImageDataModule(
        str(root), image_size=16, batch_size=BATCH // processes, num_workers=workers, augment="medium"
    )
    model, options = classifier(num_classes=2, class_names=images.classes), dict[str, Any]()
    if processes > 1:
        options = {"strategy": "ddp_fork", "devices": processes}
    pl.seed_everything(1, verbose=False)
    fit(model, images, two_stages(cache_features=False), RunSummary(str(folder)), max_epochs=-1, **options)
    summary = json.loads((folder / "summary.json").read_text())
    return summary["weights_sha256"], (folder / "val_predictions.csv").read_text()


def test_a_folder_and_its_shards_with_and_without_a_worker(data: Path, tmp_path: Path) -> None:
    one = trained(data / "folder", tmp_path / "folder", 0)
    assert trained(data / "shards", tmp_path / "shards", 1) == one


ALL = [(kind, workers) for kind in KINDS for workers in (0, 1, 3)]


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "cases"), [(1, ALL), (2, [("folder", 0), ("folder.zip", 1), *ALL[-3:]])])
def test_whatever_they_lie_in_and_however_many_read_them(
    data: Path, tmp_path: Path, processes: int, cases: list[tuple[str, int]]
) -> None:
    found = {
        (kind, workers): trained(data / kind, tmp_path / f"{kind}-{workers}", workers, processes=processes)
        for kind, workers in cases
    }
    assert len(set(found.values())) == 1, found


def run(folder: Path, recipe: str, *words: str) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(recipe)
    return start(folder, *UNREPORTED, *words)


def steps_of(path: Path) -> int:
    """Steps that ``metrics.csv`` of a run that goes on tells of."""
    lines = path.read_text().splitlines() if path.exists() else []
    steps = [line.split(",")[1] for line in lines[1:]]
    return int(steps[-1]) if steps and steps[-1].isdigit() else 0


def kill_after(folder: Path, process: Any, step: int) -> int:
    """Kill a run without warning, and return the step of the checkpoint that it leaves."""
    while steps_of(folder / "run" / "metrics.csv") < step:
        assert process.poll() is None, (folder / "errors.txt").read_text()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=False)
    return int(saved["global_step"])


@pytest.mark.slow
def test_shards_after_a_kill_within_an_epoch_as_a_folder_in_one_go(data: Path, tmp_path: Path) -> None:
    recipe = SMALL.replace('root: "sklearn:digits", val_fraction: 0.05, images_per_class: 4', "root: {root}")
    recipe = recipe.replace("logger: false", "").replace("{name: all, epochs: 1", "{name: all, epochs: 4")
    assert run(tmp_path / "whole", recipe.replace("{root}", str(data / "folder"))).wait() == 0
    killed, recipe = tmp_path / "killed", recipe.replace("{root}", str(data / "shards"))
    recipe = recipe.replace("num_workers: 0", "num_workers: 1")
    words = ("--ckpt_path", "last", "--last_checkpoint.every_n_train_steps", "1")
    assert kill_after(killed, run(killed, recipe, *words), 33) % BATCHES, "killed at the end of an epoch"
    assert run(killed, recipe, "--ckpt_path", "last").wait() == 0, (killed / "errors.txt").read_text()
    shas = {json.loads((folder / "run" / "summary.json").read_text())["weights_sha256"] for folder in
            (tmp_path / "whole", killed)}  # fmt: skip
    assert len(shas) == 1
