"""Pictures that are not square: the file that a run leaves knows how they became so."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_recipes import load
from lightning_recipes.__main__ import main
from tests.small import UNREPORTED


@pytest.fixture
def banners(tmp_path: Path) -> Path:
    """Wide pictures whose class is in their left edge alone, which the middle does not show."""
    for name, shade in (("bright", 255), ("dark", 0)):
        for number in range(12):
            pixels = np.random.default_rng(number).integers(90, 160, (16, 64, 3), dtype=np.uint8)
            pixels[:, :12] = shade
            (tmp_path / "banners" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "banners" / name / f"{number}.png")
    return tmp_path / "banners"


@pytest.mark.parametrize("fit", ["pad", pytest.param("squish", marks=pytest.mark.slow)])
def test_what_is_seen_whole_is_learnt_and_judged_again_as_it_was(fit: str, banners: Path, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        f"data: {{root: '{banners}', image_size: 32, batch_size: 8, val_fraction: 0.25, num_workers: 0, augment: "
        "{name: light, crop: centre, flip: false, cutout: 0.0}}\n"
        "model: {backbone: test_resnet, pretrained: 'embedded:letters', lr: 0.01}\n"
        "trainer: {max_epochs: 6, logger: false, accelerator: cpu, enable_progress_bar: false}\n"
    )
    run = tmp_path / "run"
    words = ["fit", "--config", str(tmp_path / "r.yaml"), *UNREPORTED]
    assert main([*words, "--data.fit", fit, "--run_dir", str(run)]) == 0
    assert json.loads((run / "summary.json").read_text())["val_accuracy"] == 1.0
    model = load(run / "checkpoints" / "best.ckpt")
    with (run / "val_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, found in zip(rows, model.predict([banners / row["path"] for row in rows]), strict=True):
        assert found.label == row["predicted"]
        assert found.probability == pytest.approx(float(row["probability"]), abs=1e-4)
    assert main([*words, "--run_dir", str(tmp_path / "cropped")]) == 0
    assert json.loads((tmp_path / "cropped" / "summary.json").read_text())["val_accuracy"] < 1.0
    assert main([*words, "--data.fit", "stretch", "--run_dir", str(tmp_path / "no")]) == 2
    again = [*words, "--model.pretrained", str(run / "checkpoints" / "best.ckpt"), "--run_dir", str(tmp_path / "again")]
    assert main(again) == 0  # begins as it was judged
    assert load(tmp_path / "again" / "checkpoints" / "best.ckpt").input_config.fit == fit
