"""What earlier releases wrote is read by this one: a run of theirs is loaded, judged and gone on with.

``releases/<version>.zip`` is a run folder as that release left it after three of five epochs, with what the same
release came to when it went on (``..._when_done``).
"""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lightning_recipes as lr
from lightning_recipes.__main__ import main

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.zip"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The run folder of a release, unpacked."""
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "run")
    return tmp_path / "run"


def summary(run: Path, name: str = "summary") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / f"{name}.json").read_text())
    return content


def probabilities(path: Path) -> list[float]:
    with path.open() as file:
        return [float(row["probability"]) for row in csv.DictReader(file)]


def test_there_is_a_run_of_an_earlier_release() -> None:
    assert RELEASES


def test_its_checkpoint_is_validated_to_its_own_numbers(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    best = run / "checkpoints" / "best.ckpt"
    assert type(lr.load(best)) is lr.ImageClassifier
    assert len(lr.load(run / "snapshots").predict([np.zeros((16, 16, 3), np.uint8)])) == 1
    assert main(["validate", "--ckpt_path", str(best), "--trainer.limit_val_batches", "4"]) == 0
    assert f"{summary(run)['val_loss']:.4f}" in capfd.readouterr().out


def test_it_goes_on_to_where_its_own_release_came(run: Path) -> None:
    config = ["--config", str(run / "config.yaml"), "--run_dir", str(run), "--trainer.max_epochs", "null"]
    config += ["--gradcam.images", "0"]
    with pytest.warns(UserWarning, match="max_epochs: takes effect"):
        assert main(["fit", *config, "--ckpt_path", "last"]) == 0
    done, theirs = summary(run), summary(run, "summary_when_done")
    assert (done["epochs"], done["global_step"]) == (theirs["epochs"], theirs["global_step"])
    assert done["best_epoch"] == theirs["best_epoch"]
    assert done["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-4)  # another processor rounds otherwise
    ours = probabilities(run / "val_predictions.csv")
    assert ours == pytest.approx(probabilities(run / "val_predictions_when_done.csv"), abs=1e-3)
