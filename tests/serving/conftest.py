"""A checkpoint to serve."""

from pathlib import Path

import pytest

from tests.small import classifier, digits, fit

NAMES = [f"digit {i}" for i in range(10)]


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for so long that pictures get probabilities that differ."""
    model = classifier(class_names=NAMES, pretrained="embedded:letters", lr=3e-3)
    trainer, _ = fit(model, digits(), max_epochs=2)
    path = tmp_path_factory.mktemp("served") / "tiny.ckpt"
    trainer.save_checkpoint(path, weights_only=True)
    return path
